#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "agent/node_supervisor.h"

namespace keyhold::agent {
namespace {

bool CanBind(const std::string& address, uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in in{AF_INET, htons(port), {}, {}};
  sockaddr_in6 in6{AF_INET6, htons(port), 0, {}, 0};
  inet_pton(AF_INET, address.c_str(), &in.sin_addr);
  inet_pton(AF_INET6, address.c_str(), &in6.sin6_addr);
  const auto* name = v6 ? reinterpret_cast<const sockaddr*>(&in6) : reinterpret_cast<const sockaddr*>(&in);
  const bool bound = bind(fd, name, v6 ? sizeof in6 : sizeof in) == 0;
  close(fd);
  return bound;
}

}  // namespace

void Ports::Reserve(uint16_t port) {
  const std::lock_guard lock(mutex_);
  taken_.insert(port);
}

StatusOr<uint16_t> Ports::Take() {
  const std::lock_guard lock(mutex_);
  for (uint32_t port = first_; port <= UINT16_MAX; ++port) {
    if (taken_.contains(port) || !CanBind(address_, port)) continue;
    taken_.insert(port);
    return static_cast<uint16_t>(port);
  }
  return Error(Cause::kResourceExhausted,
               absl::StrCat("no free port on ", address_, " from ", first_, " on for a node"));
}

void Ports::Release(uint16_t port) {
  const std::lock_guard lock(mutex_);
  taken_.erase(port);
}

}  // namespace keyhold::agent
