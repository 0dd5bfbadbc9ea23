// An HTTP server on a Unix socket that only its owner may use. It has httplib: a room's one file includes it.
#pragma once

#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <thread>

#include "base/socket_address.h"
#include "base/status.h"

namespace keyhold {

// For one thread, but for the handlers. Destroying it ends it and removes the socket.
class UnixHttpServer {
 public:
  explicit UnixHttpServer(std::string path) : path_(std::move(path)) {}
  ~UnixHttpServer() {
    server_.stop();
    if (!thread_.joinable()) return;
    thread_.join();
    unlink(path_.c_str());
  }
  UnixHttpServer(const UnixHttpServer&) = delete;
  UnixHttpServer& operator=(const UnixHttpServer&) = delete;

  // For handlers, before Start().
  httplib::Server& routes() { return server_; }

  // Serves at `path`, in place of a socket that a process left there; bodies have `largest_body` bytes at
  // most. kIo.
  Status Start(size_t largest_body) {
    KEYHOLD_ASSIGN_OR_RETURN(address_, SocketAddress::Of(path_));
    unlink(path_.c_str());
    server_.set_payload_max_length(largest_body);
    // httplib asks a connection that is kept a hundred times in a second whether there is more.
    server_.set_keep_alive_max_count(1);
    server_.set_address_family(AF_UNIX);
    const mode_t before = umask(0177);
    const bool bound = server_.bind_to_port(address_->text(), 80);
    umask(before);
    if (!bound) return ErrnoError(errno, "listening at " + path_);
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      ended_ = true;
    });
    // A server that is told to stop before it runs does not stop.
    while (!server_.is_running() && !ended_) std::this_thread::yield();
    return OkStatus();
  }

 private:
  const std::string path_;
  std::optional<SocketAddress> address_;
  httplib::Server server_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace keyhold
