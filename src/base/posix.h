// The seam between Keyhold and the disk: the system calls with which key rings and stores are read and
// written.
//
// Every call is the system call of its name, with its flags and semantics, but for the result: a negative
// errno instead of -1, and EINTR is retried. Paths are relative to a directory descriptor, so that a store
// can never leave its directory. Tests wrap an instance to fail, hang, tear and drop unsynced writes;
// tests/tidy holds that the rooms keyring and store make none of these calls past the seam. Implementations
// are safe to use from any thread.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

struct file_handle;

namespace keyhold {

class Posix {
 public:
  virtual ~Posix() = default;

  virtual int OpenAt(int dir, const char* path, int flags, mode_t mode) = 0;
  virtual int Close(int fd) = 0;
  // One call may move less than asked, as pread(2) and pwritev2(2) do. `rwf_flags`: 0 or RWF_DSYNC.
  virtual ssize_t PRead(int fd, void* buffer, size_t size, off_t offset) = 0;
  virtual ssize_t PWrite(int fd, const void* buffer, size_t size, off_t offset, int rwf_flags) = 0;
  virtual int FSync(int fd) = 0;
  virtual int FDataSync(int fd) = 0;
  virtual int SyncFs(int fd) = 0;
  virtual int FTruncate(int fd, off_t size) = 0;
  virtual int FAllocate(int fd, int mode, off_t offset, off_t size) = 0;
  virtual off_t LSeek(int fd, off_t offset, int whence) = 0;
  virtual int FAdvise(int fd, off_t offset, off_t size, int advice) = 0;

  virtual int FStatAt(int dir, const char* path, struct stat* out, int flags) = 0;
  virtual int StatVFs(int fd, struct statvfs* out) = 0;
  virtual int FChMod(int fd, mode_t mode) = 0;
  virtual int FChOwnAt(int dir, const char* path, uid_t uid, gid_t gid, int flags) = 0;
  virtual int UTimeNsAt(int dir, const char* path, const struct timespec times[2], int flags) = 0;

  virtual int MkDirAt(int dir, const char* path, mode_t mode) = 0;
  virtual int MkNodAt(int dir, const char* path, mode_t mode, dev_t device) = 0;
  virtual int UnlinkAt(int dir, const char* path, int flags) = 0;
  virtual int RenameAt2(int old_dir, const char* old_path, int new_dir, const char* new_path,
                        unsigned flags) = 0;
  virtual int LinkAt(int old_dir, const char* old_path, int new_dir, const char* new_path, int flags) = 0;
  virtual int SymlinkAt(const char* target, int dir, const char* path) = 0;
  virtual ssize_t ReadLinkAt(int dir, const char* path, char* buffer, size_t size) = 0;
  // getdents64(2).
  virtual ssize_t GetDents(int fd, void* buffer, size_t size) = 0;

  virtual ssize_t FGetXAttr(int fd, const char* name, void* value, size_t size) = 0;
  virtual int FSetXAttr(int fd, const char* name, const void* value, size_t size, int flags) = 0;
  virtual ssize_t FListXAttr(int fd, char* list, size_t size) = 0;
  virtual int FRemoveXAttr(int fd, const char* name) = 0;

  virtual int NameToHandleAt(int dir, const char* path, struct file_handle* handle, int* mount_id,
                             int flags) = 0;
  virtual int OpenByHandleAt(int mount_fd, struct file_handle* handle, int flags) = 0;
};

// The kernel's. Never destroyed.
Posix& SystemPosix();

}  // namespace keyhold
