#include "node/generation.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace keyhold::node {
namespace {

constexpr char kName[] = "/generation";
constexpr size_t kLongest = 32;  // bytes; a 64 bit number has 20 digits

Status WriteDurably(int fd, const std::string& text, const std::string& path) {
  const ssize_t written = write(fd, text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size()) && fsync(fd) == 0) return OkStatus();
  return ErrnoError(written >= 0 && static_cast<size_t>(written) < text.size() ? ENOSPC : errno,
                    "writing " + path);
}

Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  return synced ? OkStatus() : ErrnoError(error, "syncing " + path);
}

}  // namespace

StatusOr<uint64_t> ReadGeneration(const std::string& root) {
  const std::string path = root + kName;
  const int fd = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? StatusOr<uint64_t>(uint64_t{0}) : ErrnoError(errno, "opening " + path);
  std::array<char, kLongest> text{};
  const ssize_t got = read(fd, text.data(), text.size());
  const int error = errno;
  close(fd);
  if (got < 0) return ErrnoError(error, "reading " + path);
  uint64_t generation = 0;
  const absl::string_view line(text.data(), static_cast<size_t>(got));
  if (absl::EndsWith(line, "\n") && absl::SimpleAtoi(absl::StripSuffix(line, "\n"), &generation))
    return generation;
  return Error(Cause::kCorrupt, "the store's file generation holds no number: put the latest store back");
}

Status WriteGeneration(const std::string& root, uint64_t generation) {
  const std::string path = root + kName;
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(errno, "writing " + fresh);
  const Status written = WriteDurably(fd, std::to_string(generation) + "\n", fresh);
  close(fd);
  KEYHOLD_RETURN_IF_ERROR(written);
  if (rename(fresh.c_str(), path.c_str()) != 0) return ErrnoError(errno, "replacing " + path);
  return SyncDirectory(root);
}

}  // namespace keyhold::node
