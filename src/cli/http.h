// One HTTP exchange. Apart from api_client.cc, so that the HTTP library is compiled once.
#pragma once

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::cli {

inline constexpr size_t kMaxAnswer = 8u << 20;

struct HttpRequest {
  std::string method;
  std::string path;                           // encoded, with its query
  std::string bearer;                         // empty: no Authorization
  std::string body;                           // JSON; empty: none
  absl::Duration timeout = absl::Minutes(2);  // for the whole answer
};

struct HttpAnswer {
  int status = 0;
  absl::Duration retry_after = absl::ZeroDuration();  // the header of that name
  std::string body;                                   // at most kMaxAnswer
};

// Redirects are answers as others are: the API key goes to `server` alone, which is as in api_client.h.
// kUnavailable: no answer, or none as a whole in time, with what went wrong; kCorrupt: one that is too large.
StatusOr<HttpAnswer> Exchange(const std::string& server, const HttpRequest& request);

}  // namespace keyhold::cli
