#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "agent/node_supervisor.h"

namespace keyhold::agent {
namespace {

enum class Shared { kNo, kYes };

// A socket that is bound to `port` and does not listen; -1: it cannot be. Beside it the port is free for
// those who set SO_REUSEADDR, and taken for others: shared with the former or not, as long as nobody listens.
int Bind(const std::string& address, uint16_t port, Shared shared) {
  const bool v6 = address.find(':') != std::string::npos;
  const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int reuse = shared == Shared::kYes ? 1 : 0;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  sockaddr_in in{AF_INET, htons(port), {}, {}};
  sockaddr_in6 in6{AF_INET6, htons(port), 0, {}, 0};
  inet_pton(AF_INET, address.c_str(), &in.sin_addr);
  inet_pton(AF_INET6, address.c_str(), &in6.sin6_addr);
  const auto* name = v6 ? reinterpret_cast<const sockaddr*>(&in6) : reinterpret_cast<const sockaddr*>(&in);
  if (bind(fd, name, v6 ? sizeof in6 : sizeof in) == 0 &&
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0) {
    return fd;
  }
  close(fd);
  return -1;
}

}  // namespace

Ports::~Ports() {
  for (const auto& [port, held] : taken_) {
    if (held >= 0) close(held);
  }
}

void Ports::Reserve(uint16_t port) {
  const std::lock_guard lock(mutex_);
  int& held = taken_.try_emplace(port, -1).first->second;
  if (held < 0) held = Bind(address_, port, Shared::kYes);
}

StatusOr<uint16_t> Ports::Take() {
  const std::lock_guard lock(mutex_);
  for (uint32_t port = first_; port <= UINT16_MAX; ++port) {
    if (taken_.contains(port)) continue;
    const int held = Bind(address_, port, Shared::kNo);
    if (held < 0) continue;
    taken_[port] = held;
    return static_cast<uint16_t>(port);
  }
  return Error(Cause::kResourceExhausted,
               absl::StrCat("no free port on ", address_, " from ", first_, " on for a node"));
}

void Ports::Release(uint16_t port) {
  const std::lock_guard lock(mutex_);
  const auto found = taken_.find(port);
  if (found == taken_.end()) return;
  if (found->second >= 0) close(found->second);
  taken_.erase(found);
}

}  // namespace keyhold::agent
