// Calls to one vault: its challenge, access tokens, retries and errors.
//
// https://learn.microsoft.com/rest/api/keyvault/, api-version 7.4.
#pragma once

#include <mutex>
#include <string>

#include "kms/azure/errors.h"
#include "kms/azure/key_uri.h"
#include "kms/azure/tokens.h"
#include "kms/retry.h"
#include "kms/secret_json.h"

namespace keyhold::kms::azure {

// What to do, and how messages call it.
struct VaultCall {
  std::string action;  // "unwrapKey": a key permission of access policies
  std::string method;  // "GET", "POST"
  std::string path;    // "/keys/NAME", without query
  crypto::SecretBytes body;
};

// Safe to use from any thread.
class Vault {
 public:
  // `key` names the vault; `tenant` is the one that it must be in (empty: any). The references must outlive
  // this.
  Vault(const KeyUri& key, std::string uri, std::string tenant, HttpTransport& http, const RetryTools& tools,
        Tokens& tokens);

  // The answer to `call`, always with status 200, tried until there is one or `budget` has passed (retry.h).
  // Errors are sentences with a kKms* cause.
  StatusOr<SecretJson> Send(const VaultCall& call, absl::Duration budget);

  // The Azure region that the vault says it is in ("eastus"); asks without credentials where no answer has
  // told it yet. kKmsWrongKey when the vault does not say.
  StatusOr<std::string> Region(absl::Duration budget);

 private:
  StatusOr<HttpResponse> Exchange(const VaultCall& call, const Token& token, absl::Duration left);
  Status Challenge(absl::Duration left);
  Status Learn(const HttpResponse& answer);
  StatusOr<std::string> Tenant(absl::Duration left);
  TryResult Once(const VaultCall& call, absl::Duration left, HttpResponse& answer);
  Status Refused(const HttpResponse& answer, const VaultCall& call) const;

  const KeyUri key_;
  const std::string uri_;
  const std::string wanted_tenant_;
  HttpTransport& http_;
  const RetryTools tools_;
  Tokens& tokens_;

  std::mutex mutex_;
  std::string tenant_;  // guarded by mutex_; empty until a challenge told it
  std::string region_;  // guarded by mutex_; empty until an answer told it
};

}  // namespace keyhold::kms::azure
