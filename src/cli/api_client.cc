#include "cli/api_client.h"

#include <nlohmann/json.hpp>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "cli/exit_code.h"
#include "cli/http.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

constexpr char kBase[] = "/api/v1";
constexpr size_t kPageSize = 500;
constexpr int kMaxTries = 20;
constexpr absl::Duration kMaxPause = absl::Seconds(30);
constexpr int kMaxAnswerDepth = 64;            // levels; printing takes a stack frame for each
constexpr int kMaxPages = 500;                 // of a list
constexpr size_t kMaxListBytes = 32u << 20;    // of its pages together
constexpr size_t kMaxMessageBytes = 8u << 10;  // a policy statement and its sentence are one

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "[::1]" || absl::StartsWith(host, "127.");
}

// HOST of "HOST[:PORT]"; empty where it is not of that form.
std::string HostOf(const std::string& authority) {
  const size_t bracket = authority.find(']');
  const size_t colon = authority.find(':', bracket == std::string::npos ? 0 : bracket);
  const std::string port = colon == std::string::npos ? "1" : authority.substr(colon + 1);
  if (port.empty() || port.find_first_not_of("0123456789") != std::string::npos) return "";
  const std::string host = authority.substr(0, colon);
  const bool clean = std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
  });
  return clean ? host : "";
}

std::string TextOf(const json& value, const char* field) {
  const auto found = value.is_object() ? value.find(field) : value.end();
  return found != value.end() && found->is_string() ? found->get<std::string>() : "";
}

Cause CauseOfHttp(int status) {
  switch (status) {
    case 401:
      return Cause::kUnauthenticated;
    case 403:
      return Cause::kPermissionDenied;
    case 404:
      return Cause::kNotFound;
    case 409:
      return Cause::kConflict;
    case 501:
      return Cause::kUnimplemented;
    default:
      return status >= 500 ? Cause::kUnavailable : Cause::kInvalidArgument;
  }
}

// Discarded where it is no JSON, or nested too deep.
json ParseAnswer(const std::string& text) {
  bool too_deep = false;
  const auto watch = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > kMaxAnswerDepth;
    return !too_deep;
  };
  json value = json::parse(text, watch, false);
  return too_deep ? json(json::value_t::discarded) : value;
}

Status Refusal(const std::string& server, const HttpAnswer& answer) {
  const json body = ParseAnswer(answer.body);
  std::string message = TextOf(body, "message").substr(0, kMaxMessageBytes);
  if (message.empty()) {
    return Error(Cause::kCorrupt, absl::StrCat(server, " answers ", answer.status,
                                               " without the Cloud API's error; is COCKROACH_SERVER right?"));
  }
  if (answer.status == 401) absl::StrAppend(&message, "; log in: ccloud auth login");
  const auto details = body.find("details");
  const bool has_reason = details != body.end() && details->is_array() && !details->empty();
  const std::string reason = has_reason ? TextOf(details->front(), "reason") : "";
  return Error(reason.empty() ? CauseOfHttp(answer.status) : CauseFromName(reason), message);
}

// Once the server says that it is asked too often, again when it says that it may be.
StatusOr<HttpAnswer> Patiently(const Endpoint& endpoint, const Pause& pause, const HttpRequest& request) {
  for (int tries = 1;; ++tries) {
    StatusOr<HttpAnswer> answer = Exchange(endpoint.server, request);
    if (!answer.ok() || answer->status != 429 || tries == kMaxTries) return answer;
    pause(std::clamp(answer->retry_after, absl::Seconds(1), kMaxPause));
  }
}

StatusOr<json> Call(const Endpoint& endpoint, const Pause& pause, const HttpRequest& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const HttpAnswer answer, Patiently(endpoint, pause, request));
  return ReadAnswer(endpoint.server, answer);
}

Status NoEnd(const std::string& server, const char* field) {
  return Error(Cause::kCorrupt, absl::StrCat("the list \"", field, "\" of ", server, " has no end"));
}

}  // namespace

StatusOr<json> ReadAnswer(const std::string& server, const HttpAnswer& answer) {
  if (answer.status < 200 || answer.status > 299) return Refusal(server, answer);
  json body = ParseAnswer(answer.body);
  if (!body.is_object()) {
    return Error(Cause::kCorrupt,
                 absl::StrCat(server, " does not answer in JSON; is COCKROACH_SERVER right?"));
  }
  return body;
}

Status CheckServer(const std::string& server) {
  const bool https = absl::StartsWith(server, "https://");
  if (!https && !absl::StartsWith(server, "http://")) {
    return UsageError(absl::StrCat("the server must be https://HOST[:PORT], not \"", server, "\""));
  }
  const std::string host = HostOf(server.substr(https ? 8 : 7));
  if (host.empty()) {
    return UsageError(
        absl::StrCat("the server must be https://HOST[:PORT] and no more, not \"", server, "\""));
  }
  if (https || IsLoopback(host)) return OkStatus();
  return UsageError(absl::StrCat(
      "http:// is for this machine alone, it would show the API key to the network; use https://", host));
}

StatusOr<json> ApiClient::Get(const std::string& path) const {
  return Call(endpoint_, pause_, {"GET", kBase + path, endpoint_.api_key, ""});
}

StatusOr<json> ApiClient::Send(const std::string& method, const std::string& path, const json& body) const {
  return Call(
      endpoint_, pause_,
      {method, kBase + path, endpoint_.api_key, body.dump(-1, ' ', false, json::error_handler_t::replace)});
}

StatusOr<json> ApiClient::Delete(const std::string& path) const {
  return Call(endpoint_, pause_, {"DELETE", kBase + path, endpoint_.api_key, ""});
}

StatusOr<json> ApiClient::List(const std::string& path, const char* field) const {
  json all = json::array();
  const char joint = absl::StrContains(path, "?") ? '&' : '?';
  const std::string first = absl::StrFormat("%s%cpagination.limit=%d", path, joint, kPageSize);
  std::string page;
  size_t bytes = 0;
  for (int pages = 0; pages < kMaxPages && bytes <= kMaxListBytes; ++pages) {
    const std::string query = page.empty() ? "" : absl::StrCat("&pagination.page=", PercentEncoded(page));
    KEYHOLD_ASSIGN_OR_RETURN(
        const HttpAnswer text,
        Patiently(endpoint_, pause_, {"GET", absl::StrCat(kBase, first, query), endpoint_.api_key, ""}));
    bytes += text.body.size();
    KEYHOLD_ASSIGN_OR_RETURN(const json answer, ReadAnswer(endpoint_.server, text));
    const auto items = answer.find(field);
    if (items == answer.end() || !items->is_array()) {
      return Error(Cause::kCorrupt,
                   absl::StrCat("the answer of ", endpoint_.server, " has no list \"", field, "\""));
    }
    all.insert(all.end(), items->begin(), items->end());
    const std::string next = answer.contains("pagination") ? TextOf(answer["pagination"], "next_page") : "";
    if (next.empty() || next == page || items->empty()) return all;
    page = next;
  }
  return NoEnd(endpoint_.server, field);
}

StatusOr<std::string> ApiClient::Download(const std::string& path) const {
  KEYHOLD_ASSIGN_OR_RETURN(HttpAnswer answer, Exchange(endpoint_.server, {"GET", path, "", ""}));
  if (answer.status != 200) return Refusal(endpoint_.server, answer);
  return std::move(answer.body);
}

}  // namespace keyhold::cli
