#include "app/address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace keyhold::app {
namespace {

Status NotAnAddress(const std::string& address) {
  return Error(Cause::kInvalidArgument,
               absl::StrCat("\"", address, "\" is not ADDR:PORT, such as 127.0.0.1:8080"));
}

Status TryBind(const addrinfo& info, const std::string& address) {
  const int fd = socket(info.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoError(errno, "socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const int error = bind(fd, info.ai_addr, info.ai_addrlen) != 0 || listen(fd, 1) != 0 ? errno : 0;
  close(fd);
  if (error == 0) return OkStatus();
  return Error(Cause::kUnavailable,
               error == EADDRINUSE ? absl::StrCat(address, " is in use by another process; name another port")
                                   : absl::StrCat(address, ": ", std::strerror(error)));
}

}  // namespace

Status CheckFree(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return NotAnAddress(address);
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  int number = -1;
  if (!absl::SimpleAtoi(port, &number) || number < 0 || number > 65535) return NotAnAddress(address);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return NotAnAddress(address);
  const Status status = TryBind(*found, address);
  freeaddrinfo(found);
  return status;
}

}  // namespace keyhold::app
