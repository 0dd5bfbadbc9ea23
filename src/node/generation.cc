#include "node/generation.h"

#include <fcntl.h>
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

}  // namespace keyhold::node
