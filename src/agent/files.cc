#include "agent/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace keyhold::agent {
namespace {

constexpr size_t kMaxFile = 1 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

Status SyncDirectoryOf(const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/'));
  const Descriptor directory(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) return ErrnoError(errno, parent);
  return OkStatus();
}

Status WriteAndSync(const std::string& path, std::string_view content) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return ErrnoError(errno, path);
  while (!content.empty()) {
    const ssize_t n = write(file.get(), content.data(), content.size());
    if (n < 0 && errno != EINTR) return ErrnoError(errno, path);
    if (n > 0) content.remove_prefix(n);
  }
  if (fsync(file.get()) != 0) return ErrnoError(errno, path);
  return OkStatus();
}

}  // namespace

StatusOr<std::string> ReadFile(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return Error(Cause::kNotFound, path + " is not there");
  if (file.get() < 0) return ErrnoError(errno, path);
  std::string content;
  std::array<char, 4096> buffer;
  while (content.size() <= kMaxFile) {
    const ssize_t n = read(file.get(), buffer.data(), buffer.size());
    if (n < 0) return ErrnoError(errno, path);
    if (n == 0) return content;
    content.append(buffer.data(), n);
  }
  return Error(Cause::kCorrupt, path + " is larger than 1 MiB");
}

Status WriteFileAtomically(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".new";
  KEYHOLD_RETURN_IF_ERROR(WriteAndSync(temporary, content));
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, path);
  return SyncDirectoryOf(path);
}

Status EnsureDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return OkStatus();
  return ErrnoError(errno, path);
}

StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  if (error) return ErrnoError(error.value(), path);
  std::sort(names.begin(), names.end());
  return names;
}

Status RemoveTree(const std::string& path, const std::vector<std::string>& first) {
  std::error_code error;
  for (const std::string& name : first) {
    const std::string file = absl::StrCat(path, "/", name);
    if (std::filesystem::remove(file, error)) KEYHOLD_RETURN_IF_ERROR(SyncDirectoryOf(file));
    if (error) return ErrnoError(error.value(), file);
  }
  std::filesystem::remove_all(path, error);
  if (error) return ErrnoError(error.value(), path);
  return OkStatus();
}

}  // namespace keyhold::agent
