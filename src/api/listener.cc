#include "api/listener.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace keyhold::api {
namespace {

constexpr std::chrono::seconds kDrainTime{5};
constexpr size_t kDrainBytes = 16 << 20;

// After one of these, what the client sends next may be the rest of what was not understood.
bool EndsConnection(int status) { return status == 0 || status == 400 || status == 413 || status == 414; }

// A client that still sends would lose the answer to a reset of the connection.
void Drain(socket_t socket) {
  const auto deadline = std::chrono::steady_clock::now() + kDrainTime;
  std::array<char, 16 << 10> buffer;
  shutdown(socket, SHUT_WR);
  for (size_t drained = 0; drained < kDrainBytes;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd fd{socket, POLLIN, 0};
    if (left.count() <= 0 || poll(&fd, 1, static_cast<int>(left.count())) <= 0) return;
    const ssize_t n = recv(socket, buffer.data(), buffer.size(), 0);
    if (n <= 0) return;
    drained += static_cast<size_t>(n);
  }
}

}  // namespace

bool Listener::process_and_close_socket(socket_t socket) {
  {
    Connection connection(socket, limits_);
    if (tls_ == nullptr || connection.Handshake(tls_.get())) Serve(connection);
    if (connection.answered() >= 400) Drain(socket);
  }
  shutdown(socket, SHUT_RDWR);
  return close(socket) == 0;
}

void Listener::Serve(Connection& connection) {
  std::chrono::milliseconds patience = limits_.request;
  for (size_t left = keep_alive_max_count_; left > 0 && svr_sock_ != INVALID_SOCKET; --left) {
    if (!connection.AwaitRequest(patience)) return;
    connection.StartHeaders();
    bool closed = false;
    bool ambiguous = false;
    const bool served = process_request(connection, left == 1, closed, [&](httplib::Request& request) {
      ambiguous = !AmbiguityOf(request).empty();
      connection.StartBody();
    });
    if (!served || closed || ambiguous || EndsConnection(connection.answered())) return;
    patience = std::chrono::seconds(keep_alive_timeout_sec_);
  }
}

}  // namespace keyhold::api
