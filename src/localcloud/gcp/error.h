// Google's errors on the one status type: a Status that also carries google.rpc.Code's name, such as
// "PERMISSION_DENIED", and its details. Services return these; the front end (front.h) writes them as Google
// does, where a status without a code is an internal failure.
//
// The form: https://cloud.google.com/apis/design/errors.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::gcp {

// `code` is a name of google/rpc/code.proto; HTTP status and cause follow from it by the table in error.cc.
Status GcpError(std::string_view code, std::string_view message);
// With one entry of `details`.
Status GcpError(std::string_view code, std::string_view message, const Json& detail);

// INVALID_ARGUMENT.
Status Invalid(std::string_view message);

// An ErrorInfo for `details`, with or without metadata.
Json ErrorInfo(std::string_view reason, std::string_view domain);
Json ErrorInfo(std::string_view reason, std::string_view domain, const Json& metadata);

// The code of an error made by GcpError(); "" for others.
std::string GcpErrorCode(const Status& status);

// The HTTP status of `code`; 500 for one that is not known.
int HttpStatusOf(std::string_view code);

// {"error":{"code","message","status","details"}}.
Json ErrorBody(const Status& status);

}  // namespace keyhold::localcloud::gcp
