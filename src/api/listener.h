// The HTTP server under the API: httplib's, on connections with limits (connection.h), and with TLS if it is
// given a certificate. Only server.cc includes this: it has httplib.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/connection.h"
#include "base/status.h"

namespace keyhold::api {

struct SslContextFree {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslContextFree>;

// TLS 1.2 and 1.3, with the PEM files of a certificate chain and its key. kInvalidArgument names the file
// that cannot be used.
StatusOr<SslContext> MakeSslContext(const std::string& certificate, const std::string& key);

class Listener final : public httplib::Server {
 public:
  // Set before it listens; `tls` null: plain HTTP.
  void set_limits(const ConnectionLimits& limits) { limits_ = limits; }
  void set_tls(SslContext tls) { tls_ = std::move(tls); }

 private:
  bool process_and_close_socket(socket_t socket) override;
  void Serve(Connection& connection);

  ConnectionLimits limits_;
  SslContext tls_;
};

}  // namespace keyhold::api
