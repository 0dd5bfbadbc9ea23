// Google's errors and what they mean here, in one table.
//
// The form: https://cloud.google.com/apis/design/errors (google.rpc.Status with ErrorInfo and
// PreconditionFailure); token endpoints: RFC 6749 section 5.2. The states of a key version:
// https://cloud.google.com/kms/docs/key-states.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "kms/http.h"

namespace keyhold::kms::gcp {

// What Google answered instead of a result. Empty where the answer did not say.
struct Failure {
  int http_status = 0;
  std::string status;   // "PERMISSION_DENIED"; a token endpoint's error: "invalid_grant"
  std::string reason;   // of ErrorInfo: "IAM_PERMISSION_DENIED"
  std::string state;    // of a key version that is not enabled: "DISABLED"
  std::string message;  // Google's own words
};

Failure ParseFailure(const HttpResponse& response);

// What was tried, for the message.
struct Attempt {
  std::string action;     // "cloudkms.cryptoKeyVersions.useToDecrypt": the permission that it takes
  std::string resource;   // the key's name or the service account's address
  std::string principal;  // its address, or words for it
  std::string grant;      // the command that grants it
};

// The cause that `failure` stands for. An answer without a status of Google's counts by its HTTP status: 429
// throttled, 5xx unreachable, anything else kKmsCorrupt, since who answers so may not be Google.
Cause CauseOfFailure(const Failure& failure);

// The error in a sentence: what was tried, what Google said, and what to do now.
Status ToStatus(const Failure& failure, const Attempt& attempt, Cause cause);

// The cause of a key version in `state`, one other than ENABLED.
Cause CauseOfVersionState(std::string_view state);

}  // namespace keyhold::kms::gcp
