// Google's token endpoints: what is sent, and what an answer must be.
//
// Service accounts: https://developers.google.com/identity/protocols/oauth2/service-account (RFC 7523).
// Federation: https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token (RFC 8693).
// Impersonation: https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/rsa.h"
#include "kms/gcp/call.h"

namespace keyhold::kms::gcp {

// What the platform's tokens may be used for; a customer's account is used for its keys alone.
inline constexpr std::string_view kPlatformScope = "https://www.googleapis.com/auth/cloud-platform";
inline constexpr std::string_view kKmsScope = "https://www.googleapis.com/auth/cloudkms";

inline constexpr size_t kMaxCredentialsFile = 64 << 10;  // bytes

// A service account's key file, as Google Cloud makes them.
struct ServiceAccountKey {
  std::string email;
  std::string key_id;
  std::string token_uri;  // one of Google's
  crypto::RsaPrivateKey private_key;
};

// kKmsBadCredentials says what is wrong with the file; nothing of it is in the message. A token_uri other
// than Google's is refused: a key file leads to no other host.
StatusOr<ServiceAccountKey> ParseServiceAccountKey(crypto::Bytes json);

// The JSON Web Token (RFC 7519) with which the account asks for a token, valid from `now` for an hour.
std::string SignAssertion(const ServiceAccountKey& key, std::string_view scope, absl::Time now);

// Workload identity federation: a token of another issuer, exchanged at Google's STS for one of Google's.
struct FederatedAccount {
  std::string audience;  // "//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/..."
  std::string subject_token_type;  // "urn:ietf:params:oauth:token-type:jwt"
  std::string token_file;
  std::string json_field;       // the token's place in a JSON file; empty: the file is the token
  std::string service_account;  // to impersonate with it; empty: none
};

// Of a credentials file of the type external_account (AIP-4117). kUnimplemented for token sources other than
// a file; kKmsBadCredentials for a file that is wrong, or names hosts other than Google's.
StatusOr<FederatedAccount> ParseFederatedAccount(crypto::Bytes json);

// The token of an answer by RFC 6749 section 5.1, whose time begins at `now`. kKmsCorrupt when there is none.
StatusOr<AccessToken> ParseTokenAnswer(const HttpResponse& answer, absl::Time now);

// The same of generateAccessToken.
StatusOr<AccessToken> ParseGeneratedToken(const HttpResponse& answer);

}  // namespace keyhold::kms::gcp
