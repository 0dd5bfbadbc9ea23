#include "api/listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace keyhold::api {
namespace {

// After one of these, what the client sends next may be the rest of what was not understood.
bool EndsConnection(int status) { return status == 0 || status == 400 || status == 413 || status == 414; }

// How chunks are cut is read leniently by httplib: what follows the last one is not taken for a request.
void EndAfterChunks(httplib::Request& request) {
  request.headers.erase("Connection");
  request.headers.emplace("Connection", "close");
}

class Threads final : public httplib::ThreadPool {
 public:
  Threads(size_t count, Crowd& crowd) : ThreadPool(count), crowd_(crowd) {}

  void enqueue(std::function<void()> connection) override {
    crowd_.Arrive();
    ThreadPool::enqueue(std::move(connection));
  }

 private:
  Crowd& crowd_;
};

}  // namespace

void Listener::set_threads(size_t count) {
  crowd_.set_room(count);
  new_task_queue = [this, count] { return new Threads(count, crowd_); };
}

bool Listener::process_and_close_socket(socket_t socket) {
  {
    Connection connection(socket, limits_, crowd_);
    if (tls_ == nullptr || connection.Handshake(tls_.get())) Serve(connection);
    if (connection.answered() >= 400) connection.Drain();
  }
  shutdown(socket, SHUT_RDWR);
  crowd_.Leave(socket);
  return close(socket) == 0;
}

void Listener::Serve(Connection& connection) {
  std::chrono::milliseconds patience = limits_.request;
  for (size_t left = keep_alive_max_count_; left > 0 && svr_sock_ != INVALID_SOCKET; --left) {
    if (!connection.AwaitRequest(patience)) return;
    connection.StartHeaders();
    bool closed = false;
    bool last = false;
    const bool served = process_request(connection, left == 1, closed, [&](httplib::Request& request) {
      const bool in_chunks = request.has_header("Transfer-Encoding");
      last = in_chunks || !AmbiguityOf(request).empty();
      if (in_chunks) EndAfterChunks(request);
      connection.StartBody();
    });
    if (!served || closed || last || EndsConnection(connection.answered())) return;
    patience = std::chrono::seconds(keep_alive_timeout_sec_);
  }
}

}  // namespace keyhold::api
