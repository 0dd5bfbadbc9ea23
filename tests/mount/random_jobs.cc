#include "tests/mount/random_jobs.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace keyhold::testing {

void Fail(const std::string& what) {
  std::fprintf(stderr, "mount_random: %s (%s)\n", what.c_str(), std::strerror(errno));
  std::_Exit(1);
}

// EIO is also what a damaged block answers: a name that nobody has asked for tells whether there is a mount.
bool Job::Gone(const std::string& what) {
  const int error = errno;
  if (error == ENOTCONN || error == ECONNABORTED) return true;
  if (error == EIO) {
    const std::string unasked = dir_ + "/unasked" + std::to_string(random_());
    if (access(unasked.c_str(), F_OK) != 0 && errno != ENOENT) return true;
  }
  errno = error;
  Fail(what);
}

bool Job::WriteWhole(int fd, const void* bytes, size_t size, size_t from) {
  const ssize_t written = pwrite(fd, bytes, size, static_cast<off_t>(from));
  if (written == static_cast<ssize_t>(size)) return true;
  if (written >= 0 && pwrite(fd, static_cast<const char*>(bytes) + written,
                             size - static_cast<size_t>(written), static_cast<off_t>(from) + written) >= 0) {
    Fail("a write was cut short");
  }
  return false;
}

ssize_t Job::ReadWhole(int fd, void* bytes, size_t size, size_t from) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(fd, static_cast<char*>(bytes) + done, size - done, static_cast<off_t>(from + done));
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

}  // namespace keyhold::testing
