// How a Cause looks over HTTP: the one table of this front end.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "absl/time/time.h"
#include "api/request.h"
#include "base/status.h"

namespace keyhold::api {

// https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
struct HttpStatus {
  int http = 500;
  int grpc = 13;
};

HttpStatus HttpStatusOf(Cause cause);

// The body of an error: {"code","message","details"}, as the Cloud API's Status. A user is not told of a
// bug's insides, so kInternal has a message of its own.
nlohmann::json ErrorBody(const Status& status);

// The answer to a client that asks too often: 429, RESOURCE_EXHAUSTED, and in Retry-After how many seconds to
// wait. `message` says why.
Reply TooMany(std::string_view message, absl::Duration wait);

}  // namespace keyhold::api
