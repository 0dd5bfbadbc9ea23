#include "base/posix.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

namespace keyhold {
namespace {

template <typename Call>
auto Retry(Call call) -> decltype(call()) {
  while (true) {
    const auto result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

class System final : public Posix {
 public:
  // Not retried: after EINTR the descriptor is gone all the same (close(2)).
  int Close(int fd) override { return ::close(fd) == 0 || errno == EINTR ? 0 : -errno; }

  ssize_t PWrite(int fd, const void* buffer, size_t size, off_t offset, int rwf_flags) override {
    const iovec piece{const_cast<void*>(buffer), size};
    return Retry([&] { return ::pwritev2(fd, &piece, 1, offset, rwf_flags); });
  }

  int FAdvise(int fd, off_t offset, off_t size, int advice) override {
    return -::posix_fadvise(fd, offset, size, advice);
  }

  int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
    return Retry([&] { return ::openat(dir, path, flags, mode); });
  }
  ssize_t PRead(int fd, void* buffer, size_t size, off_t offset) override {
    return Retry([&] { return ::pread(fd, buffer, size, offset); });
  }
  int FSync(int fd) override {
    return Retry([&] { return ::fsync(fd); });
  }
  int FDataSync(int fd) override {
    return Retry([&] { return ::fdatasync(fd); });
  }
  int SyncFs(int fd) override {
    return Retry([&] { return ::syncfs(fd); });
  }
  int FTruncate(int fd, off_t size) override {
    return Retry([&] { return ::ftruncate(fd, size); });
  }
  int FAllocate(int fd, int mode, off_t offset, off_t size) override {
    return Retry([&] { return ::fallocate(fd, mode, offset, size); });
  }
  off_t LSeek(int fd, off_t offset, int whence) override {
    return Retry([&] { return ::lseek(fd, offset, whence); });
  }
  int FStatAt(int dir, const char* path, struct stat* out, int flags) override {
    return Retry([&] { return ::fstatat(dir, path, out, flags); });
  }
  int StatVFs(int fd, struct statvfs* out) override {
    return Retry([&] { return ::fstatvfs(fd, out); });
  }
  int FChMod(int fd, mode_t mode) override {
    return Retry([&] { return ::fchmod(fd, mode); });
  }
  int FChOwnAt(int dir, const char* path, uid_t uid, gid_t gid, int flags) override {
    return Retry([&] { return ::fchownat(dir, path, uid, gid, flags); });
  }
  int UTimeNsAt(int dir, const char* path, const struct timespec times[2], int flags) override {
    return Retry([&] { return ::utimensat(dir, path, times, flags); });
  }
  int MkDirAt(int dir, const char* path, mode_t mode) override {
    return Retry([&] { return ::mkdirat(dir, path, mode); });
  }
  int MkNodAt(int dir, const char* path, mode_t mode, dev_t device) override {
    return Retry([&] { return ::mknodat(dir, path, mode, device); });
  }
  int UnlinkAt(int dir, const char* path, int flags) override {
    return Retry([&] { return ::unlinkat(dir, path, flags); });
  }
  int RenameAt2(int old_dir, const char* old_path, int new_dir, const char* new_path,
                unsigned flags) override {
    return Retry([&] { return ::renameat2(old_dir, old_path, new_dir, new_path, flags); });
  }
  int LinkAt(int old_dir, const char* old_path, int new_dir, const char* new_path, int flags) override {
    return Retry([&] { return ::linkat(old_dir, old_path, new_dir, new_path, flags); });
  }
  int SymlinkAt(const char* target, int dir, const char* path) override {
    return Retry([&] { return ::symlinkat(target, dir, path); });
  }
  ssize_t ReadLinkAt(int dir, const char* path, char* buffer, size_t size) override {
    return Retry([&] { return ::readlinkat(dir, path, buffer, size); });
  }
  ssize_t GetDents(int fd, void* buffer, size_t size) override {
    return Retry([&] { return ::getdents64(fd, buffer, size); });
  }
  ssize_t FGetXAttr(int fd, const char* name, void* value, size_t size) override {
    return Retry([&] { return ::fgetxattr(fd, name, value, size); });
  }
  int FSetXAttr(int fd, const char* name, const void* value, size_t size, int flags) override {
    return Retry([&] { return ::fsetxattr(fd, name, value, size, flags); });
  }
  ssize_t FListXAttr(int fd, char* list, size_t size) override {
    return Retry([&] { return ::flistxattr(fd, list, size); });
  }
  int FRemoveXAttr(int fd, const char* name) override {
    return Retry([&] { return ::fremovexattr(fd, name); });
  }
  int NameToHandleAt(int dir, const char* path, struct file_handle* handle, int* mount_id,
                     int flags) override {
    return Retry([&] { return ::name_to_handle_at(dir, path, handle, mount_id, flags); });
  }
  int OpenByHandleAt(int mount_fd, struct file_handle* handle, int flags) override {
    return Retry([&] { return ::open_by_handle_at(mount_fd, handle, flags); });
  }
};

}  // namespace

Posix& SystemPosix() {
  static auto* posix = new System;
  return *posix;
}

}  // namespace keyhold
