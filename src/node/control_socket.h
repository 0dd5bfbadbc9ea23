// The node's control socket: HTTP with JSON over a Unix socket, as docs/architecture.md has it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "wire/node.h"

namespace keyhold::node {

// What the requests do; called on the socket's threads.
struct ControlHandlers {
  std::function<wire::NodeStatus(uint64_t after, absl::Duration wait)> status;
  std::function<Status(const wire::DesiredNode&)> desired;
  // `region` is empty for the node's own.
  std::function<StatusOr<wire::CheckReport>(const wire::KeySpec&, const std::string& region)> check;
  std::function<void()> stop;
};

class ControlSocket {
 public:
  // Listens at `path` (mode 0600; one left by an earlier process is replaced). kIo.
  static StatusOr<std::unique_ptr<ControlSocket>> Start(const std::string& path, ControlHandlers handlers);
  virtual ~ControlSocket() = default;  // ends requests under way, and removes the socket
};

}  // namespace keyhold::node
