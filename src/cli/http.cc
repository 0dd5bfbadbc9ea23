#include "cli/http.h"

#include <httplib.h>

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace keyhold::cli {
namespace {

constexpr size_t kMaxAnswer = 32u << 20;
constexpr std::chrono::seconds kConnectTimeout{10};
constexpr std::chrono::seconds kAnswerTimeout{60};

std::string_view Describe(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection:
      return "connection refused or host unknown";
    case httplib::Error::ConnectionTimeout:
      return "no answer to the connection";
    case httplib::Error::Read:
      return "the connection ended before the answer";
    case httplib::Error::Write:
      return "the connection ended before the request was sent";
    case httplib::Error::SSLConnection:
    case httplib::Error::SSLLoadingCerts:
      return "TLS failed";
    case httplib::Error::SSLServerVerification:
      return "its certificate does not verify (SSL_CERT_FILE names further certificate authorities)";
    default:
      return "the HTTP exchange failed";
  }
}

Status NoAnswer(const std::string& server, httplib::Error error) {
  return Error(
      Cause::kUnavailable,
      absl::StrCat("cannot reach the server at ", server, ": ", std::string(Describe(error)),
                   "; does it run? `keyhold start --dir DIR` starts one, `source DIR/env.sh` names it"));
}

}  // namespace

StatusOr<HttpAnswer> Exchange(const std::string& server, const HttpRequest& request) {
  httplib::Client client(server);
  client.set_connection_timeout(kConnectTimeout);
  client.set_read_timeout(kAnswerTimeout);
  client.set_url_encode(false);
  httplib::Request out;
  out.method = request.method;
  out.path = request.path;
  out.headers.emplace("Accept", "application/json");
  if (!request.bearer.empty()) out.headers.emplace("Authorization", "Bearer " + request.bearer);
  if (!request.body.empty()) out.headers.emplace("Content-Type", "application/json");
  out.body = request.body;
  HttpAnswer answer;
  bool too_large = false;
  out.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    too_large = answer.body.size() + size > kMaxAnswer;
    if (!too_large) answer.body.append(data, size);
    return !too_large;
  };
  const httplib::Result result = client.send(out);
  if (too_large)
    return Error(Cause::kCorrupt, absl::StrCat("the answer of ", server, " is larger than 32 MiB"));
  if (!result) return NoAnswer(server, result.error());
  answer.status = result->status;
  int seconds = 0;
  if (absl::SimpleAtoi(result->get_header_value("Retry-After"), &seconds)) {
    answer.retry_after = absl::Seconds(seconds);
  }
  return answer;
}

}  // namespace keyhold::cli
