// One call to a Google API, with its token and its retries.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "kms/http.h"
#include "kms/retry.h"
#include "kms/token.h"

namespace keyhold::kms::gcp {

struct Request {
  std::string method = "POST";
  std::string host;  // one of names.h, or a metadata server
  std::string path;
  std::string content_type = "application/json";
  std::map<std::string, std::string> headers;
  bool metadata = false;
};

// The error that an answer with another status than 200 stands for.
using FailureReader = std::function<Status(const HttpResponse&)>;

struct Caller {
  HttpTransport& http;
  RetryTools tools;

  // Sends `body` with a token of `source` (none when null) until it is answered or `budget` has passed
  // (retry.h). A token that is refused is given up, and another one tried once. The answer, always with
  // status 200, or what `read_failure` makes of it. `what` is being tried, for the message when nothing
  // answers.
  StatusOr<HttpResponse> Send(const Request& request, const crypto::SecretBytes& body, TokenSource* source,
                              std::string_view what, const FailureReader& read_failure,
                              absl::Duration budget) const;
};

}  // namespace keyhold::kms::gcp
