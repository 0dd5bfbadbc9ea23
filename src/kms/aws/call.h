// One signed call to an AWS service, with its retries.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "kms/aws/endpoints.h"
#include "kms/credentials.h"
#include "kms/http.h"
#include "kms/retry.h"

namespace keyhold::kms::aws {

// The service at the other end: where, and how it writes requests and errors.
struct Endpoint {
  std::string host;
  std::string region;
  std::string service;                         // "kms", "sts"
  std::string content_type;                    // of requests
  std::map<std::string, std::string> headers;  // of every request
};

// The error that an answer with another status than 200 stands for.
using FailureReader = std::function<Status(const HttpResponse&)>;

struct Caller {
  HttpTransport& http;
  RetryTools tools;
  Endpoints endpoints = {};

  // Sends `body`, signed with the credentials of `source`, until it is answered or `budget` has passed
  // (retry.h). The answer, always with status 200, or what `read_failure` makes of it. `what` is being tried,
  // for the message when nothing answers.
  StatusOr<HttpResponse> Send(const Endpoint& endpoint, const crypto::SecretBytes& body,
                              AwsCredentialSource& source, std::string_view what,
                              const FailureReader& read_failure, absl::Duration budget) const;
};

}  // namespace keyhold::kms::aws
