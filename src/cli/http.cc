#include "cli/http.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace keyhold::cli {
namespace {

constexpr size_t kMaxHeaders = 64 << 10;
constexpr long kConnectTimeoutMs = 10'000;  // NOLINT(google-runtime-int): libcurl's type

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;
using Headers = std::unique_ptr<curl_slist, FreeCurl>;

// An answer as it comes in.
struct Receiver {
  std::string body;
  size_t headers = 0;
  bool too_large = false;

  static size_t OnBody(char* data, size_t, size_t size, void* self) {
    auto& receiver = *static_cast<Receiver*>(self);
    receiver.too_large = receiver.body.size() + size > kMaxAnswer;
    if (receiver.too_large) return 0;
    receiver.body.append(data, size);
    return size;
  }
  static size_t OnHeader(char*, size_t, size_t size, void* self) {
    auto& receiver = *static_cast<Receiver*>(self);
    receiver.headers += size;
    receiver.too_large = receiver.headers > kMaxHeaders;
    return receiver.too_large ? 0 : size;
  }
};

// The authorities that OpenSSL knows, and so those of SSL_CERT_FILE, in place of libcurl's own choice.
CURLcode UseSystemAuthorities(CURL*, void* context, void*) {
  return SSL_CTX_set_default_verify_paths(static_cast<SSL_CTX*>(context)) == 1 ? CURLE_OK
                                                                               : CURLE_SSL_CACERT_BADFILE;
}

std::string Describe(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
      return "connection refused or host unknown";
    case CURLE_OPERATION_TIMEDOUT:
      return "no whole answer in time";
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
      return "the connection ended before the answer";
    case CURLE_SEND_ERROR:
      return "the connection ended before the request was sent";
    case CURLE_SSL_CONNECT_ERROR:
      return "TLS failed";
    case CURLE_PEER_FAILED_VERIFICATION:
      return "its certificate does not verify (SSL_CERT_FILE names further certificate authorities)";
    default:
      return absl::StrCat("the HTTP exchange failed (", curl_easy_strerror(code), ")");
  }
}

Status NoAnswer(const std::string& server, CURLcode code) {
  return Error(
      Cause::kUnavailable,
      absl::StrCat("cannot reach the server at ", server, ": ", Describe(code),
                   "; does it run? `keyhold start --dir DIR` starts one, `source DIR/env.sh` names it"));
}

void Append(Headers& headers, const std::string& header) {
  headers.reset(curl_slist_append(headers.release(), header.c_str()));
}

// The list must live until the request is done.
Headers SetMessage(CURL* curl, const HttpRequest& request) {
  Headers headers;
  Append(headers, "Accept: application/json");
  Append(headers, "Expect:");
  if (!request.bearer.empty()) Append(headers, "Authorization: Bearer " + request.bearer);
  if (!request.body.empty()) {
    Append(headers, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  return headers;
}

void SetConnection(CURL* curl, const std::string& url, absl::Duration timeout) {
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "ccloud");
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  // Set though empty: HTTPS_PROXY is for the clouds, and libcurl would take it.
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(timeout)));  // NOLINT(google-runtime-int)
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(curl, CURLOPT_CAINFO, nullptr);
  curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, &UseSystemAuthorities);
}

}  // namespace

StatusOr<HttpAnswer> Exchange(const std::string& server, const HttpRequest& request) {
  [[maybe_unused]] static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  const Curl curl(curl_easy_init());
  if (curl == nullptr) return Error(Cause::kResourceExhausted, "libcurl has no memory");
  Receiver receiver;
  SetConnection(curl.get(), server + request.path, request.timeout);
  const Headers headers = SetMessage(curl.get(), request);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &Receiver::OnBody);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &receiver);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, &Receiver::OnHeader);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &receiver);
  const CURLcode code = curl_easy_perform(curl.get());
  if (receiver.too_large) {
    return Error(Cause::kCorrupt, absl::StrCat("the answer of ", server, " is larger than ", kMaxAnswer >> 20,
                                               " MiB, or has too many headers"));
  }
  if (code != CURLE_OK) return NoAnswer(server, code);
  long status = 0;  // NOLINT(google-runtime-int): libcurl's type
  curl_off_t retry_after = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl.get(), CURLINFO_RETRY_AFTER, &retry_after);
  return HttpAnswer{static_cast<int>(status), absl::Seconds(retry_after), std::move(receiver.body)};
}

}  // namespace keyhold::cli
