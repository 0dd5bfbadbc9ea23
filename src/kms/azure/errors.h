// Azure's error codes and what they mean here, in one table.
//
// Codes: https://learn.microsoft.com/azure/key-vault/general/rest-error-codes, the recorded answers in the
// test suites of Azure's SDKs, and https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "kms/http.h"

namespace keyhold::kms::azure {

// What Azure answered instead of a result.
struct Failure {
  int http_status = 0;
  std::string code;     // "Forbidden", "invalid_client"; empty when the answer named none
  std::string inner;    // of innererror: "KeyDisabled"; of Entra: "AADSTS7000215"
  std::string message;  // Azure's own words
};

// A vault's {"error":{"code","message","innererror":{"code"}}}, and Entra's {"error","error_description"}.
Failure ParseVaultFailure(const HttpResponse& response);
Failure ParseLoginFailure(const HttpResponse& response);

// What was tried, for the message.
struct Attempt {
  std::string action;    // "unwrapKey", or "an access token"
  std::string resource;  // the key's URI, or the login host
  std::string vault;     // its name, for the advice; empty: none
};

// The cause that `failure` of `action` stands for. What is in no table counts by its HTTP status: 429
// throttled, 5xx unreachable, anything else kKmsCorrupt, since who answers so may not be Azure.
Cause CauseOfVaultFailure(const Failure& failure, std::string_view action);
Cause CauseOfLoginFailure(const Failure& failure);

// The error in a sentence: what was tried, what Azure said, and what to do now.
Status ToStatus(const Failure& failure, const Attempt& attempt, Cause cause);

// The command that grants all that Keyhold needs, by the vault's access policies.
std::string GrantCommand(std::string_view vault, std::string_view object_id);

}  // namespace keyhold::kms::azure
