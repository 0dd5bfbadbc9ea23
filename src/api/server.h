// The server process: control plane, Cloud API, agent API and metrics behind one HTTP listener.
//
// What it serves is docs/api.md. Everything it acknowledges is in DIR/server/keyhold.db before the answer
// goes out, so that it may be killed at any instant. At the first start it makes the organization, the first
// API key (DIR/server/api-key, 0600) and the agents' token (DIR/server/agent-token, 0600).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "api/failed_logins.h"
#include "api/rate_limit.h"
#include "base/clock.h"
#include "base/status.h"
#include "crypto/random.h"

namespace keyhold::api {

struct ServerOptions {
  std::string dir;                     // DIR of keyhold start; what is the server's own lies in DIR/server
  std::string listen = "127.0.0.1:0";  // ADDR:PORT, [ADDR]:PORT; port 0: a free one
  std::string aws_principal_arn;    // the platform's principals, for the organization's page and account ids;
  std::string gcp_service_account;  // an e-mail address
  std::string azure_client_id;      // empty: that cloud is not there
  absl::Duration probe_interval = absl::Seconds(2);      // of every node
  absl::Duration unreachable_grace = absl::Minutes(15);  // how long nodes serve on while a KMS is not reached
  absl::Duration data_key_max_age = absl::Hours(30 * 24);  // then a node's store goes over to another one
  std::string tls_certificate;  // PEM files of a chain and its key: HTTPS; empty: plain HTTP
  std::string tls_key;
  absl::Duration request_timeout = absl::Seconds(10);  // for a request to come as a whole
  size_t threads = 256;  // connections at once; long polls of agents and waiting changes hold one each
  int requests_per_second = kRequestsPerSecond;  // of one API key; 0: as many as it likes
  int failed_logins_allowed = kFailuresAllowed;  // within a minute from one address; 0: as many as it likes
  absl::Duration check_timeout = absl::Seconds(20);    // for a node's check of a key spec
  absl::Duration observe_timeout = absl::Seconds(10);  // for a node to take up users and allowlist
};

// Safe to use from any thread.
class Server {
 public:
  // Listening when it returns. kUnavailable: the address is busy or not of this machine; kFailedPrecondition:
  // the database is in use by another process, or of a newer version; kCorrupt: it is damaged.
  // kInvalidArgument: address, certificate or key. Nothing is changed then. `clock` and `random` must outlive
  // the server. Needs crypto::InitSecretMemory().
  static StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options, Clock& clock,
                                                 crypto::Random& random);

  // As Stop().
  virtual ~Server() = default;

  virtual uint16_t port() const = 0;

  // Ends long polls, answers what is under way, closes the database. Idempotent.
  virtual void Stop() = 0;
};

// Start, then `ready` with the port, then until SIGTERM or SIGINT, which it blocks in every thread: call it
// before any other thread is made. The result is Start's.
Status RunServer(const ServerOptions& options, const std::function<void(uint16_t port)>& ready);

}  // namespace keyhold::api
