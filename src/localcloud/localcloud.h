// The local cloud: Keyhold's stand-in for the clouds' key management and identity services, for development,
// tests and air-gapped trials. docs/localcloud.md is its user's page.
//
// It answers under the clouds' real host names: it listens on one port as an HTTP CONNECT proxy (RFC 9110
// section 9.3.6), which leads those names, and no others, to the services in this process, and ends TLS there
// with certificates of its own private CA. It never connects to anything.
//
// Start() keeps everything below `dir` (mode 0700); a second Start() on it goes on with the same accounts and
// keys:
//   ca.pem                    certificate of the private CA (0644)
//   customer.json             the customer's credentials, {"aws":{"account_id","access_key_id",
//                             "secret_access_key","user_arn","region"}, "gcp":{"project",
//                             "service_account","key_file","access_token_file"}, "azure":{"tenant_id",
//                             "client_id","client_secret","subscription_id","resource_group","vault",
//                             "location"}} (0600)
//   customer/                 gcp-key.json, gcp-access-token: the files that customer.json names (0600)
//   principals.json           who to grant access to, {"aws":{"principal_arn"},"gcp":{"service_account"},
//                             "azure":{"principal_id","client_id","tenant_id"}} (0644)
//   platform/aws-credentials  the platform principal's shared credentials file (0600)
//   platform/gcp-key.json     the platform's service account's key file (0600)
//   platform/azure-client.pem the platform application's certificate and key (0600)
//   access.log                one JSON object per request: time, principal, action, key, outcome (0600)
//   control.sock              where faults are ordered, while it runs (0600)
//   cloud.db, hsm.key, ca.key state, the key that seals key material in it, and the CA's key (0600)
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "crypto/random.h"

namespace keyhold::localcloud {

struct Options {
  std::string dir;                     // made when it is not there; its parent must be
  std::string listen = "127.0.0.1:0";  // ADDR:PORT; port 0 takes a free one, see port()
};

class FaultGate;

// A running local cloud. Safe to use from any thread.
class LocalCloud {
 public:
  // Serves from before it returns until Stop(). `clock` and `random` must outlive the object; deletion
  // windows, rotation periods and credentials end by `clock`. kFailedPrecondition: another process serves
  // `dir`. kUnavailable: the address cannot be bound. kCorrupt: the state was written by a newer version, or
  // its files do not fit each other; nothing is changed.
  static StatusOr<std::unique_ptr<LocalCloud>> Start(Options options, Clock& clock, crypto::Random& random);

  // Stops, where Stop() was not called.
  ~LocalCloud();

  // The port that was bound.
  uint16_t port() const;

  // Ends every connection and closes the state. What was acknowledged is on the disk. Idempotent.
  Status Stop();

  // Where faults are ordered (fault_gate.h); other processes do so by control.sock (fault_control.h).
  FaultGate& faults();

 private:
  class Impl;
  explicit LocalCloud(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyhold::localcloud
