// A gateway with nothing behind it, and clients that speak to it byte by byte, in the clear or inside TLS.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "crypto/openssl_ptr.h"
#include "gateway/protocol.h"
#include "tests/gateway/cluster.h"

namespace keyhold::gateway {

// A plain TCP client of the gateway.
class Raw {
 public:
  explicit Raw(uint16_t port);
  ~Raw();
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  void Send(const std::string& bytes) const;
  // `size` bytes, or what came before the end.
  std::string Receive(size_t size) const;
  // Everything until the gateway closes; "open" when it does not within ten seconds.
  std::string ReceiveAll() const;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// The same after SSLRequest and a handshake.
class Encrypted {
 public:
  explicit Encrypted(uint16_t port);

  void Send(const std::string& bytes);
  std::string Receive(size_t size);
  std::string ReceiveAll();  // until the gateway closes; fails the test when it does not within ten seconds

 private:
  Raw raw_;
  std::unique_ptr<SSL_CTX, crypto::FreeBy<SSL_CTX_free>> context_;
  std::unique_ptr<SSL, crypto::FreeBy<SSL_free>> ssl_;
};

// A packet of the kind that a client starts with.
std::string Packet(uint32_t code, const std::string& body = "");

// The startup message of user "app", in protocol 3.`minor`.
std::string Startup(uint32_t minor = 0);

struct Door {
  // `upstream`: a socket to have behind it after all.
  explicit Door(GatewayLimits limits = {}, std::vector<std::string> allowlist = {"127.0.0.1"},
                const std::string& upstream = "/no/such/socket");
  // What psql says that comes in over TLS; `more` is added to its connection string.
  std::string Psql(const std::string& more = "") const;

  TempDir dir;
  std::unique_ptr<Gateway> gateway;
};

}  // namespace keyhold::gateway
