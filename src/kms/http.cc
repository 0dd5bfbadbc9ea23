#include "kms/http.h"

#include <curl/curl.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "kms/text.h"

namespace keyhold::kms {
namespace {

// libcurl's memory holds keys in clear: bodies, the signing key. It is wiped when libcurl gives it back.
void WipingFree(void* memory) {
  if (memory == nullptr) return;
  crypto::Wipe({static_cast<uint8_t*>(memory), malloc_usable_size(memory)});
  std::free(memory);
}

void* WipingRealloc(void* memory, size_t size) {
  void* bigger = std::malloc(size);
  if (bigger == nullptr || memory == nullptr) return bigger;
  std::memcpy(bigger, memory, std::min(size, malloc_usable_size(memory)));
  WipingFree(memory);
  return bigger;
}

CURLcode PrepareTls(CURL*, void* context, void*) {
  // OpenSSL would leave decrypted records, and so keys, in its buffers.
  SSL_CTX_set_options(static_cast<SSL_CTX*>(context), SSL_OP_CLEANSE_PLAINTEXT);
  return CURLE_OK;
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

void Append(List& list, const char* line) {
  curl_slist* longer = curl_slist_append(list.get(), line);
  if (longer == nullptr) std::abort();
  static_cast<void>(list.release());
  list.reset(longer);
}

crypto::SecretBytes WithNul(std::string_view prefix, const crypto::SecretBytes& text) {
  crypto::SecretBytes out(prefix.size() + text.size() + 1);
  std::memcpy(out.ExposeMutable().data(), prefix.data(), prefix.size());
  if (!text.empty())
    std::memcpy(out.ExposeMutable().data() + prefix.size(), text.Expose().data(), text.size());
  return out;
}

const char* Chars(const crypto::SecretBytes& with_nul) {
  return reinterpret_cast<const char*>(with_nul.Expose().data());
}

// What libcurl calls back while an answer comes in.
class Receiver {
 public:
  explicit Receiver(size_t limit) : limit_(limit) {}

  static size_t OnBody(char* data, size_t, size_t size, void* self) {
    return static_cast<Receiver*>(self)->AddBody({reinterpret_cast<uint8_t*>(data), size}) ? size : 0;
  }
  static size_t OnHeader(char* data, size_t, size_t size, void* self) {
    static_cast<Receiver*>(self)->AddHeader({data, size});
    return size;
  }

  bool too_long() const { return too_long_; }

  HttpResponse Take(int status) {
    return {status, std::move(headers_), crypto::SecretBytes::CopyOf(body_.Expose().first(used_))};
  }

 private:
  bool AddBody(crypto::Bytes piece) {
    too_long_ = piece.size() > limit_ - used_;
    if (too_long_) return false;
    if (piece.size() > body_.size() - used_) Grow(used_ + piece.size());
    std::copy(piece.begin(), piece.end(), body_.ExposeMutable().begin() + static_cast<ptrdiff_t>(used_));
    used_ += piece.size();
    return true;
  }

  void Grow(size_t needed) {
    crypto::SecretBytes bigger(std::min(limit_, std::max<size_t>(needed * 2, 4096)));
    std::copy_n(body_.Expose().begin(), used_, bigger.ExposeMutable().begin());
    body_ = std::move(bigger);
  }

  void AddHeader(std::string_view line) {
    const size_t colon = line.find(':');
    // A "100 Continue" has a head of its own: only the last one's headers count.
    if (line.starts_with("HTTP/")) headers_.clear();
    if (colon == std::string_view::npos) return;
    const std::string value(line.substr(colon + 1));
    headers_[absl::AsciiStrToLower(std::string(line.substr(0, colon)))] =
        std::string(absl::StripAsciiWhitespace(value));
  }

  const size_t limit_;
  std::map<std::string, std::string> headers_;
  crypto::SecretBytes body_;
  size_t used_ = 0;
  bool too_long_ = false;
};

Status CheckRequest(const HttpRequest& request) {
  const bool is_metadata = std::find(std::begin(kMetadataHosts), std::end(kMetadataHosts), request.host) !=
                           std::end(kMetadataHosts);
  if (request.metadata && !is_metadata) {
    return Error(Cause::kInvalidArgument, StrCat({request.host, " is no metadata service"}));
  }
  for (const auto& [name, value] : request.secret_headers) {
    const std::string_view text = value->ExposeText();
    if (!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; }))
      continue;
    return Error(Cause::kInvalidArgument,
                 StrCat({"the header ", name, " for ", request.host, " is not one line of text"}));
  }
  if (request.bearer == nullptr) return OkStatus();
  const std::string_view token = request.bearer->ExposeText();
  if (!token.empty() && IsVisibleAscii(token)) return OkStatus();
  return Error(Cause::kInvalidArgument, StrCat({"the access token for ", request.host, " is not a token"}));
}

// An easy handle of the pool, with its kept connections; given back, cleared, when it goes.
class CurlTransport final : public HttpTransport {
 public:
  explicit CurlTransport(const HttpOptions& options) : options_(options) {}
  ~CurlTransport() override {
    for (CURL* handle : idle_) curl_easy_cleanup(handle);
  }
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  StatusOr<HttpResponse> Send(const HttpRequest& request) override {
    if (request.timeout <= absl::Milliseconds(1)) {
      return Error(Cause::kKmsUnreachable, StrCat({"no time was left to ask ", request.host}));
    }
    KEYHOLD_RETURN_IF_ERROR(CheckRequest(request));
    CURL* handle = Take();
    StatusOr<HttpResponse> response = SendOn(handle, request);
    Give(handle);
    return response;
  }

 private:
  CURL* Take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return curl_easy_init();
    CURL* handle = idle_.back();
    idle_.pop_back();
    return handle;
  }

  void Give(CURL* handle) {
    if (handle == nullptr) return;
    // Forgets credentials and pointers to this request; connections and TLS sessions stay.
    curl_easy_reset(handle);
    const std::lock_guard lock(mutex_);
    idle_.push_back(handle);
  }

  StatusOr<HttpResponse> SendOn(CURL* handle, const HttpRequest& request) {
    if (handle == nullptr) return Error(Cause::kResourceExhausted, "no memory for a request to the KMS");
    char reason[CURL_ERROR_SIZE] = "";
    Receiver receiver(options_.max_response_bytes);
    SetConnection(handle, request, reason);
    const List headers = SetMessage(handle, request);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Receiver::OnBody);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &receiver);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &Receiver::OnHeader);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &receiver);
    const CURLcode code = curl_easy_perform(handle);
    if (receiver.too_long()) {
      return Error(Cause::kKmsUnreachable, absl::StrCat(request.host, " sent an answer longer than ",
                                                        options_.max_response_bytes, " bytes"));
    }
    if (code != CURLE_OK) return Unreachable(request.host, code, reason);
    long status = 0;  // NOLINT(google-runtime-int): libcurl's type
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return receiver.Take(static_cast<int>(status));
  }

  Status Unreachable(const std::string& host, CURLcode code, const char* reason) const {
    const std::string why = reason[0] != '\0' ? reason : curl_easy_strerror(code);
    const std::string through =
        options_.https_proxy.empty() ? "" : StrCat({" through the proxy ", options_.https_proxy});
    return Error(Cause::kKmsUnreachable, StrCat({"cannot reach ", host, through, ": ", Printable(why)}));
  }

  void SetConnection(CURL* handle, const HttpRequest& request, char* reason) const {
    const auto total = absl::ToInt64Milliseconds(request.timeout);
    const auto connect = absl::ToInt64Milliseconds(std::min(request.timeout, options_.connect_timeout));
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, request.metadata ? "http" : "https");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, &PrepareTls);
    if (!options_.ca_file.empty()) {
      curl_easy_setopt(handle, CURLOPT_CAINFO, options_.ca_file.c_str());
      curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
    }
    // Set also when empty: libcurl would else look at this process's environment.
    curl_easy_setopt(handle, CURLOPT_PROXY, request.metadata ? "" : options_.https_proxy.c_str());
    curl_easy_setopt(handle, CURLOPT_NOPROXY, options_.no_proxy.c_str());
    curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(total));  // NOLINT(google-runtime-int)
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(connect));  // NOLINT(google-runtime-int)
  }

  std::string Url(const HttpRequest& request) const {
    const int usual = request.metadata ? 80 : 443;
    const int port = request.metadata ? options_.metadata_port : options_.port;
    return StrCat({request.metadata ? "http://" : "https://", request.host,
                   port == usual ? "" : absl::StrCat(":", port), request.path});
  }

  // The list must live until the request is done.
  List SetMessage(CURL* handle, const HttpRequest& request) const {
    curl_easy_setopt(handle, CURLOPT_URL, Url(request).c_str());
    // Else curl would join "a/../b", which is not what was checked.
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    List headers;
    for (const auto& [name, value] : request.headers) Append(headers, StrCat({name, ": ", value}).c_str());
    if (request.bearer != nullptr) Append(headers, Chars(WithNul("Authorization: Bearer ", *request.bearer)));
    for (const auto& [name, value] : request.secret_headers)
      Append(headers, Chars(WithNul(StrCat({name, ": "}), *value)));
    if (request.aws.has_value()) Sign(handle, *request.aws, headers);
    if (request.method == "GET") {
      curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
    } else {
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(
          handle, CURLOPT_POSTFIELDS,
          request.body.empty() ? "" : reinterpret_cast<const char*>(request.body.Expose().data()));
      curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
    return headers;
  }

  // libcurl 7.88 signs every header of the list, so the session token is one of them; and one that the list
  // only takes away ("Expect:") it signs as well, so there is none of those.
  static void Sign(CURL* handle, const AwsSigning& signing, List& headers) {
    const AwsCredentials& credentials = *signing.credentials;
    const std::string scope = StrCat({"aws:amz:", signing.region, ":", signing.service});
    curl_easy_setopt(handle, CURLOPT_AWS_SIGV4, scope.c_str());
    curl_easy_setopt(handle, CURLOPT_USERNAME, credentials.access_key_id.c_str());
    curl_easy_setopt(handle, CURLOPT_PASSWORD, Chars(WithNul("", credentials.secret_access_key)));
    if (credentials.session_token.empty()) return;
    Append(headers, Chars(WithNul("X-Amz-Security-Token: ", credentials.session_token)));
  }

  const HttpOptions options_;
  std::mutex mutex_;
  std::vector<CURL*> idle_;  // guarded by mutex_; each keeps its connections
};

}  // namespace

Status InitTransport() {
  static const CURLcode code =
      curl_global_init_mem(CURL_GLOBAL_DEFAULT, std::malloc, WipingFree, WipingRealloc, strdup, std::calloc);
  if (code == CURLE_OK) return OkStatus();
  return Error(Cause::kInternal, StrCat({"libcurl does not start: ", curl_easy_strerror(code)}));
}

StatusOr<std::unique_ptr<HttpTransport>> NewHttpTransport(const HttpOptions& options) {
  if (!options.https_proxy.empty() && !options.https_proxy.starts_with("http://")) {
    return Error(Cause::kInvalidArgument, StrCat({"the proxy ", Quoted(options.https_proxy),
                                                  " (HTTPS_PROXY) must have the form http://HOST:PORT"}));
  }
  if (!options.ca_file.empty() && access(options.ca_file.c_str(), R_OK) != 0) {
    return Error(Cause::kInvalidArgument,
                 StrCat({"the CA file ", Quoted(options.ca_file),
                         " (AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or SSL_CERT_FILE) cannot be read"}));
  }
  KEYHOLD_RETURN_IF_ERROR(InitTransport());
  return std::make_unique<CurlTransport>(options);
}

}  // namespace keyhold::kms
