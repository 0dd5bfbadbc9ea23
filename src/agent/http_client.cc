#include "agent/http_client.h"

#include <curl/curl.h>

#include <atomic>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/socket_address.h"

namespace keyhold::agent {
namespace {

using nlohmann::json;

constexpr size_t kMaxAnswer = 4 << 20;

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

using Headers = std::unique_ptr<curl_slist, FreeCurl>;

void Append(Headers& headers, const std::string& header) {
  headers.reset(curl_slist_append(headers.release(), header.c_str()));
}

size_t Collect(char* data, size_t, size_t size, void* out) {
  auto& body = *static_cast<std::string*>(out);
  if (body.size() + size > kMaxAnswer) return 0;
  body.append(data, size);
  return size;
}

Cause CauseOfAnswer(const json& body, long http) {
  if (body.contains("cause") && body["cause"].is_string())
    return CauseFromName(body["cause"].get<std::string>());
  if (http == 404) return Cause::kNotFound;
  if (http == 401) return Cause::kUnauthenticated;
  if (http == 403) return Cause::kPermissionDenied;
  return http >= 500 ? Cause::kUnavailable : Cause::kInvalidArgument;
}

StatusOr<json> Judge(const std::string& peer, long http, const std::string& text) {
  json body = json::parse(text, nullptr, false);
  if (http >= 200 && http < 300) {
    if (!body.is_discarded()) return body;
    return Error(Cause::kCorrupt, absl::StrCat(peer, " did not answer with JSON"));
  }
  if (!body.is_object()) body = json::object();
  const std::string message =
      body.contains("message") && body["message"].is_string() ? body["message"].get<std::string>() : "";
  return Error(CauseOfAnswer(body, http),
               message.empty() ? absl::StrCat(peer, " answered with status ", http) : message);
}

// curl_easy_init() would do it, but not when two threads come to it at once. Where a program has started
// libcurl in its own way before, that way stays.
void StartCurl() { [[maybe_unused]] static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT); }

class CurlClient final : public HttpClient {
 public:
  CurlClient(std::string base, std::string socket_path)
      : base_(std::move(base)),
        socket_path_(std::move(socket_path)),
        multi_(curl_multi_init()),
        curl_(curl_easy_init()) {}

  ~CurlClient() override {
    curl_.reset();
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
  }

  StatusOr<json> Send(const HttpCall& call) override {
    if (curl_ == nullptr || multi_ == nullptr)
      return Error(Cause::kResourceExhausted, "libcurl has no memory");
    KEYHOLD_RETURN_IF_ERROR(Prepare(call));
    std::string body;
    curl_easy_setopt(curl_.get(), CURLOPT_WRITEFUNCTION, &Collect);
    curl_easy_setopt(curl_.get(), CURLOPT_WRITEDATA, &body);
    const CURLcode code = Perform();
    if (code == CURLE_WRITE_ERROR) return Error(Cause::kCorrupt, Peer() + " sent too long an answer");
    if (code != CURLE_OK) {
      return Error(Cause::kUnavailable, absl::StrCat(Peer(), " does not answer: ", curl_easy_strerror(code)));
    }
    long http = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &http);
    return Judge(Peer(), http, body);
  }

  void Abort() override {
    stop_ = true;
    if (multi_ != nullptr) curl_multi_wakeup(multi_);
  }

 private:
  // curl_easy_perform() that Abort() can wake.
  CURLcode Perform() {
    constexpr int kLongestWaitMs = 60'000;
    curl_multi_add_handle(multi_, curl_.get());
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    int running = 1;
    while (running > 0 && !stop_) {
      if (curl_multi_perform(multi_, &running) != CURLM_OK) break;
      if (running > 0) curl_multi_poll(multi_, nullptr, 0, kLongestWaitMs, nullptr);
    }
    int left = 0;
    if (const CURLMsg* message = curl_multi_info_read(multi_, &left)) code = message->data.result;
    curl_multi_remove_handle(multi_, curl_.get());
    return code;
  }

  const std::string& Peer() const { return socket_path_.empty() ? base_ : socket_path_; }

  // Opened anew each time, as the node may have been made again.
  StatusOr<std::string> ShortSocketPath() {
    auto address = SocketAddress::Of(socket_path_);
    if (!address.ok()) return Error(Cause::kUnavailable, socket_path_ + " is not there");
    address_ = *std::move(address);
    return address_->text();
  }

  Status Prepare(const HttpCall& call) {
    CURL* curl = curl_.get();
    curl_easy_reset(curl);
    if (!socket_path_.empty()) {
      KEYHOLD_ASSIGN_OR_RETURN(const std::string path, ShortSocketPath());
      curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path.c_str());
    }
    headers_.reset();
    Append(headers_, "Content-Type: application/json");
    Append(headers_, "Expect:");
    if (!call.bearer.empty()) Append(headers_, "Authorization: Bearer " + call.bearer);
    curl_easy_setopt(curl, CURLOPT_URL, (base_ + call.path).c_str());
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call.method.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(call.timeout)));
    if (call.method != "GET") {
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(call.body.size()));
      curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, call.body.c_str());
    }
    return OkStatus();
  }

  const std::string base_;
  const std::string socket_path_;
  CURLM* const multi_;
  std::unique_ptr<CURL, FreeCurl> curl_;
  Headers headers_;
  std::optional<SocketAddress> address_;  // of a call that goes to a socket
  std::atomic<bool> stop_ = false;
};

}  // namespace

std::string BodyOf(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::unique_ptr<HttpClient> HttpClient::ForUrl(const std::string& base) {
  StartCurl();
  return std::make_unique<CurlClient>(base, "");
}

std::unique_ptr<HttpClient> HttpClient::ForSocket(const std::string& socket_path) {
  StartCurl();
  return std::make_unique<CurlClient>("http://node", socket_path);
}

}  // namespace keyhold::agent
