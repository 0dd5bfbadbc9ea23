// Access tokens of Microsoft Entra ID for the platform's own application, from what the environment offers:
//   AZURE_TENANT_ID, AZURE_CLIENT_ID and one of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH (PEM),
//   AZURE_FEDERATED_TOKEN_FILE (workload identity); else the machine's managed identity, AZURE_CLIENT_ID
//   where it has several.
// The names and the order are those of the vendor's SDKs:
// https://learn.microsoft.com/dotnet/api/azure.identity.environmentcredential, and
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow for the requests.
#pragma once

#include <memory>
#include <string>

#include "base/posix.h"
#include "kms/azure/key_uri.h"
#include "kms/credentials.h"
#include "kms/http.h"
#include "kms/retry.h"
#include "kms/token.h"

namespace keyhold::kms::azure {

// Safe to use from any thread.
class Tokens {
 public:
  virtual ~Tokens() = default;

  // The tokens of `tenant` for vaults in `cloud`; valid as long as this. Its errors: kKmsBadCredentials where
  // there are no credentials or Entra refuses them; kKmsDenied where the tenant has thrown our application
  // out; kKmsThrottled, kKmsUnreachable, kKmsCorrupt. It does not try again: its callers do.
  virtual TokenSource& For(const AzureCloud& cloud, const std::string& tenant) = 0;

  // The tenant of the environment; empty: none is set, and a vault's own is used.
  virtual const std::string& HomeTenant() const = 0;
};

// The references must outlive the result. Nothing is read or sent before a token is asked for.
std::unique_ptr<Tokens> NewTokens(const Environment& environment, Posix& posix, HttpTransport& http,
                                  const RetryTools& tools);

}  // namespace keyhold::kms::azure
