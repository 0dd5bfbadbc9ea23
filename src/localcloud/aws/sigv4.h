// AWS Signature Version 4, the server's side: which request was signed, and whether by who holds the secret.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The headers to sign are
// taken from the request's SignedHeaders, never from a list of ours: clients sign different ones. Pure
// functions; errors are AWS errors (error.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "crypto/secret.h"
#include "localcloud/aws/host.h"
#include "localcloud/http.h"

namespace keyhold::localcloud::aws {

// The parts of an Authorization header.
struct Authorization {
  std::string access_key_id;
  std::string date;  // of the credential scope, YYYYMMDD
  std::string region;
  std::string service;
  std::vector<std::string> signed_headers;  // lower case, sorted, "host" among them
  std::string signature;                    // 64 hex digits
};

// How far the client's clock may be from ours, either way.
inline constexpr absl::Duration kMaxClockSkew = absl::Minutes(5);

// IncompleteSignatureException where a part is missing, comes twice or is malformed.
StatusOr<Authorization> ParseAuthorization(std::string_view header);

// The canonical request and the string to sign, as the specification defines them.
std::string CanonicalRequest(const HttpRequest& request, const std::vector<std::string>& signed_headers);
std::string StringToSign(const Authorization& authorization, std::string_view amz_date,
                         std::string_view canonical_request);

// The signature of `string_to_sign` (hex) with the key derived from `secret` and the credential scope.
std::string Signature(crypto::Bytes secret, const Authorization& authorization,
                      std::string_view string_to_sign);

// OK when `request` was signed with `secret` for `endpoint`, within kMaxClockSkew of `now`; its body's hash
// agrees with x-amz-content-sha256 where that is there. InvalidSignatureException otherwise.
Status VerifySignature(const HttpRequest& request, const Authorization& authorization, crypto::Bytes secret,
                       const Endpoint& endpoint, absl::Time now);

}  // namespace keyhold::localcloud::aws
