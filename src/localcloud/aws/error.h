// AWS's error types on the one status type: an AWS error is a Status that also carries its type, such as
// "DisabledException". Services return these; the front end (front.h) writes them in the protocol of the
// service, where a status without a type is an internal failure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::localcloud::aws {

// `type` is the JSON protocol's name. The cause follows from it by the table in error.cc.
Status AwsError(std::string_view type, std::string_view message);

// The type of an error made by AwsError(); "" for others.
std::string AwsErrorType(const Status& status);

// "ValidationException" with AWS's wording: "1 validation error detected: Value at 'FIELD' failed to satisfy
// constraint: CONSTRAINT".
Status ValidationError(std::string_view field, std::string_view constraint);

// How the query protocol (STS, IAM) names `type`: "SignatureDoesNotMatch" for "InvalidSignatureException".
std::string QueryErrorCode(std::string_view type);

// The HTTP status of `type` in the JSON protocol (nearly always 400) and in the query protocol.
int JsonHttpStatus(std::string_view type);
int QueryHttpStatus(std::string_view type);

}  // namespace keyhold::localcloud::aws
