#include "localcloud/directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace keyhold::localcloud {
namespace {

constexpr size_t kMaxFileSize = 1 << 20;

Status MakeDir(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, "cannot make " + path);
  if (chmod(path.c_str(), 0700) != 0) return ErrnoError(errno, "cannot set the mode of " + path);
  return OkStatus();
}

Status WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    ssize_t n = write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "cannot write");
    content.remove_prefix(static_cast<size_t>(n));
  }
  return OkStatus();
}

Status SyncDirectoryOf(const std::string& path) {
  std::string parent = path.substr(0, path.rfind('/'));
  int fd = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "cannot open " + parent);
  absl::Cleanup closer = [fd] { close(fd); };
  if (fsync(fd) != 0) return ErrnoError(errno, "cannot sync " + parent);
  return OkStatus();
}

Status WriteTemporary(const std::string& path, std::string_view content, unsigned mode) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode & 0600);
  if (fd < 0) return ErrnoError(errno, "cannot create " + path);
  absl::Cleanup closer = [fd] { close(fd); };
  if (fchmod(fd, mode) != 0) return ErrnoError(errno, "cannot set the mode of " + path);
  KEYHOLD_RETURN_IF_ERROR(Annotate(WriteAll(fd, content), path));
  if (fsync(fd) != 0) return ErrnoError(errno, "cannot sync " + path);
  return OkStatus();
}

StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string content;
  char buffer[4096];
  while (content.size() <= kMaxFileSize) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "cannot read " + path);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
  return Error(Cause::kCorrupt, path + " is larger than anything that is kept there");
}

}  // namespace

StatusOr<Directory> Directory::Open(const std::string& path) {
  if (path.empty()) return Error(Cause::kInvalidArgument, "the local cloud needs a directory");
  KEYHOLD_RETURN_IF_ERROR(MakeDir(path));
  std::string lock_path = path + "/lock";
  int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoError(errno, "cannot open " + lock_path);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    int error = errno;
    close(fd);
    if (error != EWOULDBLOCK) return ErrnoError(error, "cannot lock " + lock_path);
    return Error(Cause::kFailedPrecondition,
                 path + " is served by another local cloud; stop it, or choose another directory");
  }
  return Directory(path, fd);
}

Directory::Directory(Directory&& other) noexcept : path_(std::move(other.path_)), lock_(other.lock_) {
  other.lock_ = -1;
}

Directory::~Directory() {
  if (lock_ >= 0) close(lock_);
}

std::string Directory::File(std::string_view name) const {
  return absl::StrCat(path_, "/", absl::string_view(name.data(), name.size()));
}

StatusOr<std::string> Directory::Read(std::string_view name) const {
  std::string path = File(name);
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return Error(Cause::kNotFound, path + " is not there");
  if (fd < 0) return ErrnoError(errno, "cannot open " + path);
  absl::Cleanup closer = [fd] { close(fd); };
  return ReadAll(fd, path);
}

Status Directory::Write(std::string_view name, std::string_view content, unsigned mode) const {
  std::string path = File(name);
  std::string temporary = path + ".new";
  KEYHOLD_RETURN_IF_ERROR(WriteTemporary(temporary, content, mode));
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, "cannot replace " + path);
  return SyncDirectoryOf(path);
}

Status Directory::MakeDirectory(std::string_view name) const { return MakeDir(File(name)); }

StatusOr<crypto::SecretBytes> Directory::ReadOrMakeKey(std::string_view name, crypto::Random& random) const {
  constexpr size_t kKeySize = 32;
  auto content = Read(name);
  if (!content.ok() && CauseOf(content.status()) == Cause::kNotFound) {
    crypto::SecretBytes key = random.Secret(kKeySize);
    KEYHOLD_RETURN_IF_ERROR(Write(name, key.ExposeText(), 0600));
    return key;
  }
  KEYHOLD_RETURN_IF_ERROR(content.status());
  crypto::SecretBytes key = crypto::SecretBytes::CopyOf(crypto::AsBytes(*content));
  crypto::Wipe({reinterpret_cast<uint8_t*>(content->data()), content->size()});
  if (key.size() == kKeySize) return key;
  return Error(Cause::kCorrupt, File(name) + " is damaged: a key has 32 bytes; put it back from a backup");
}

}  // namespace keyhold::localcloud
