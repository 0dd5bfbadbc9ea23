#include "base/socket_address.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace keyhold {

StatusOr<SocketAddress> SocketAddress::Of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const int directory = open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return ErrnoError(errno, "opening the directory of " + path);
  return SocketAddress(directory, absl::StrCat("/proc/self/fd/", directory, path.substr(slash)));
}

SocketAddress::~SocketAddress() {
  if (directory_ >= 0) close(directory_);
}

}  // namespace keyhold
