#include "cli/secret_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace keyhold::cli {

SecretFiles::~SecretFiles() {
  for (const std::string& path : written_) unlink(path.c_str());
}

Status SecretFiles::Write(const std::string& path, std::string_view content) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) {
    return Error(Cause::kAlreadyExists, absl::StrCat(path, " is there already; name another file"));
  }
  if (fd < 0) return ErrnoError(errno, path);
  written_.push_back(path);
  const bool written =
      write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  return written ? OkStatus() : ErrnoError(error, path);
}

}  // namespace keyhold::cli
