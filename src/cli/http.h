// One HTTP exchange. Apart from api_client.cc, so that the HTTP library is compiled once.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::cli {

struct HttpRequest {
  std::string method;
  std::string path;    // encoded, with its query
  std::string bearer;  // empty: no Authorization
  std::string body;    // JSON; empty: none
};

struct HttpAnswer {
  int status = 0;
  absl::Duration retry_after = absl::ZeroDuration();  // the header of that name, in whole seconds
  std::string body;                                   // at most 32 MiB
};

// kUnavailable: no answer, with what went wrong; kCorrupt: an answer that is too large. `server` as in
// api_client.h.
StatusOr<HttpAnswer> Exchange(const std::string& server, const HttpRequest& request);

}  // namespace keyhold::cli
