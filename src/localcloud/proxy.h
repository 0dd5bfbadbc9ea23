// The one listening port: a CONNECT proxy (RFC 9110 section 9.3.6) that ends every tunnel in this process.
//
// A tunnel is opened for the names that `route` knows, on port 443; any other is refused with 403 and never
// dialled. Inside a tunnel: TLS with a certificate for that name, then HTTP/1.1 with keep-alive, pipelining,
// chunked bodies and Expect: 100-continue. A request must be complete within 30 s and its head within 64 KiB;
// an idle connection is kept for 2 minutes; 256 connections are served at once, more wait.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "localcloud/certificate_authority.h"
#include "localcloud/http.h"

namespace keyhold::localcloud {

// The handler of a host name in lower case; none (an empty function) for names this cloud does not stand for.
using Route = std::function<HttpHandler(const std::string& host)>;

struct ProxyLimits {
  std::chrono::milliseconds request{30000};
  std::chrono::milliseconds idle{120000};
  size_t head = 64 << 10;
  size_t connections = 2048;  // one thread each; one per node that probes
};

// Safe to use from any thread.
class Proxy {
 public:
  // Listens on `address` (ADDR:PORT) and serves in threads of its own. `authority` must outlive it.
  // kInvalidArgument: not an address. kUnavailable: it cannot be bound.
  static StatusOr<std::unique_ptr<Proxy>> Start(const std::string& address, Route route,
                                                CertificateAuthority& authority, ProxyLimits limits = {});
  // Stops.
  ~Proxy();

  uint16_t port() const;

  // Ends every connection; returns when no handler runs any more. Idempotent.
  void Stop();

 private:
  class Server;
  explicit Proxy(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace keyhold::localcloud
