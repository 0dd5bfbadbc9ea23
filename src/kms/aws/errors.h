// AWS's error types and what they mean here, in one table.
//
// Types and meanings: the Errors sections of Encrypt, Decrypt, GenerateDataKey and DescribeKey in
// https://docs.aws.amazon.com/kms/latest/APIReference/, its CommonErrors page, and AssumeRole's and
// AssumeRoleWithWebIdentity's in the STS reference.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::kms::aws {

// What AWS answered instead of a result.
struct Failure {
  int http_status = 0;
  std::string type;     // "AccessDeniedException": without namespace; empty when the answer named none
  std::string message;  // AWS's own words
};

// What was tried, for the message.
struct Attempt {
  std::string action;     // "kms:Decrypt"
  std::string resource;   // the key's or role's ARN
  std::string principal;  // its ARN, or words for it
};

// The cause that `failure` stands for. A type that is not in the table counts by its HTTP status: 429
// throttled, 5xx unreachable, anything else kKmsCorrupt, since who answers so may not be AWS.
Cause CauseOfFailure(const Failure& failure);

// The error in a sentence: what was tried, what AWS said, and what to do now. `cause` may be a closer one
// than CauseOfFailure's (a key's state, once it was looked at).
Status ToStatus(const Failure& failure, const Attempt& attempt, Cause cause);

// The cause of a key in a state other than Enabled (KeyState of DescribeKey).
Cause CauseOfKeyState(std::string_view state);

// The policy statement that grants `principal` all that Keyhold needs, as JSON on one line.
std::string PolicyStatement(std::string_view principal);

}  // namespace keyhold::kms::aws
