// One client's connection, as httplib's stream: with or without TLS, and with limits that httplib has not.
//
// A request must be there as a whole within a time and a size, however slowly or much is sent; so a client
// that dribbles holds a thread for a moment only, and for less where others want it (crowd.h). Only server.cc
// and its parts may include this: it has httplib.
#pragma once

#include <httplib.h>
#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "api/crowd.h"
#include "api/header_lines.h"

namespace keyhold::api {

struct ConnectionLimits {
  std::chrono::milliseconds request{10'000};  // for a request to come as a whole, and for a TLS handshake
  std::chrono::milliseconds answer{30'000};   // for an answer to be taken
  size_t header_bytes = 64 << 10;             // request line and headers
  size_t body_bytes = 2 << 20;                // what carries a body of kMaxBodySize, chunks' sizes included
};

// For one thread. Does not own the socket; `limits` and `crowd` must outlive it.
class Connection final : public httplib::Stream {
 public:
  Connection(socket_t socket, const ConnectionLimits& limits, Crowd& crowd);

  // Server side; `context` must outlive the connection. False: it failed, or took too long.
  bool Handshake(SSL_CTX* context);

  // Waits for the first byte of a request; false when none comes within `timeout`, or the client has gone.
  bool AwaitRequest(std::chrono::milliseconds timeout);

  // The two parts of a request: what is read from here on counts as its headers, as its body.
  void StartHeaders();
  void StartBody();

  // Ends what is written, and takes for a while what the client still sends: it would lose the answer to a
  // reset of the connection.
  void Drain();

  // Of the answer that was written last; 0: none since StartHeaders().
  int answered() const { return answered_; }

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  using Instant = std::chrono::steady_clock::time_point;
  ssize_t ReadSome(char* data, size_t size);
  ssize_t WriteSome(const char* data, size_t size);
  bool Await(short events, Instant deadline) const;

  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  const socket_t socket_;
  const ConnectionLimits& limits_;
  Crowd& crowd_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  Instant started_;  // of the request, and before the first, of the connection
  Instant deadline_;
  std::optional<HeaderLines> header_lines_;  // while they come
  size_t budget_ = 0;
  int answered_ = 0;
};

// A request that two readers could take for different ones: what would follow its body on this connection is
// not to be trusted. Empty: it is not; else why.
std::string AmbiguityOf(const httplib::Request& request);

}  // namespace keyhold::api
