// The HTTP server under the API: httplib's, on connections with limits (connection.h), and with TLS if it is
// given a certificate. Only server.cc includes this: it has httplib.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/connection.h"
#include "crypto/tls_context.h"

namespace keyhold::api {

class Listener final : public httplib::Server {
 public:
  // Set before it listens; `tls` null: plain HTTP. A connection holds one of `count` threads.
  void set_limits(const ConnectionLimits& limits) { limits_ = limits; }
  void set_tls(crypto::SslContext tls) { tls_ = std::move(tls); }
  void set_threads(size_t count);

 private:
  bool process_and_close_socket(socket_t socket) override;
  void Serve(Connection& connection);

  ConnectionLimits limits_;
  crypto::SslContext tls_;
  Crowd crowd_;
};

}  // namespace keyhold::api
