// Google in this process, behind the transport seam: Cloud KMS that really wraps, token services that give
// tokens. What it answers can be changed, per method, to anything.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "crypto/aead.h"
#include "kms/http.h"
#include "kms/secret_json.h"
#include "tests/kms/fake_aws.h"

namespace keyhold::testing {

// {"error":{...}} as Google writes it, with one detail or none.
inline kms::HttpResponse GoogleError(int http_status, const std::string& status, const std::string& message,
                                     const nlohmann::json& detail = nullptr) {
  nlohmann::json error = {{"code", http_status}, {"status", status}, {"message", message}};
  if (!detail.is_null()) error["details"] = {detail};
  return Answer(http_status, nlohmann::json{{"error", error}}.dump());
}

class FakeGcp final : public kms::HttpTransport {
 public:
  static constexpr char kKey[] = "projects/customer-1/locations/us-east1/keyRings/ring/cryptoKeys/key";
  static constexpr char kAccount[] = "keyhold@keyhold-1.iam.gserviceaccount.com";
  static constexpr char kCustomer[] = "cmek@customer-1.iam.gserviceaccount.com";

  struct Seen {
    std::string method, host, path, body, bearer;
    bool metadata = false;
    std::map<std::string, std::string> headers;
  };
  // `body` is that of the request.
  using Handler = std::function<StatusOr<kms::HttpResponse>(const Seen&)>;

  // `what` is the end of a path: ":encrypt", "/token".
  void On(const std::string& what, Handler handler) {
    const std::lock_guard lock(mutex_);
    handlers_[what] = std::move(handler);
  }

  StatusOr<kms::HttpResponse> Send(const kms::HttpRequest& request) override {
    const std::lock_guard lock(mutex_);
    seen_.push_back(See(request));
    const Seen& seen = seen_.back();
    for (const auto& [what, handler] : handlers_) {
      if (seen.path.ends_with(what)) return handler(seen);
    }
    return Serve(seen);
  }

  std::vector<Seen> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  size_t Count(const std::string& what) {
    size_t count = 0;
    for (const Seen& seen : this->seen()) count += seen.path.ends_with(what) ? 1 : 0;
    return count;
  }

  // The true answers, for handlers to change.
  nlohmann::json Encrypted(const Seen& seen) const {
    const auto request = nlohmann::json::parse(seen.body);
    const std::string plaintext = Decoded(request, "plaintext");
    const std::string blob = crypto::SealBox(crypto::AsBytes(key_), crypto::SystemRandom(),
                                             crypto::AsBytes(Decoded(request, "additionalAuthenticatedData")),
                                             crypto::AsBytes(plaintext));
    return {{"name", std::string(kKey) + "/cryptoKeyVersions/1"},
            {"ciphertext", Encoded(blob)},
            {"ciphertextCrc32c", Crc(blob)},
            {"verifiedPlaintextCrc32c", request.at("plaintextCrc32c") == Crc(plaintext)},
            {"verifiedAdditionalAuthenticatedDataCrc32c", true}};
  }
  nlohmann::json Decrypted(const Seen& seen) const {
    const auto request = nlohmann::json::parse(seen.body);
    const auto opened = crypto::OpenBox(crypto::AsBytes(key_),
                                        crypto::AsBytes(Decoded(request, "additionalAuthenticatedData")),
                                        crypto::AsBytes(Decoded(request, "ciphertext")));
    if (!opened.ok()) return nullptr;
    const std::string text(opened->ExposeText());
    return {{"plaintext", Encoded(text)}, {"plaintextCrc32c", Crc(text)}, {"usedPrimary", true}};
  }
  static std::string Crc(const std::string& bytes) { return std::to_string(Crc32c(crypto::AsBytes(bytes))); }
  static std::string Encoded(const std::string& bytes) {
    return std::string(kms::EncodeBase64(crypto::AsBytes(bytes)).ExposeText());
  }

 private:
  static Seen See(const kms::HttpRequest& request) {
    return {request.method,
            request.host,
            request.path,
            std::string(request.body.ExposeText()),
            request.bearer == nullptr ? "" : std::string(request.bearer->ExposeText()),
            request.metadata,
            request.headers};
  }

  static std::string Decoded(const nlohmann::json& request, const char* name) {
    return std::string(kms::DecodeBase64(request.at(name).get<std::string>())->ExposeText());
  }

  StatusOr<kms::HttpResponse> Serve(const Seen& seen) {
    if (seen.path.ends_with("/token")) {
      kms::HttpResponse answer =
          Answer(200, R"({"access_token":"ya29.platform","expires_in":3599,"token_type":"Bearer"})");
      if (seen.metadata) answer.headers["metadata-flavor"] = "Google";
      return answer;
    }
    if (seen.path.ends_with(":generateAccessToken")) {
      return Answer(200, R"({"accessToken":"ya29.customer","expireTime":"2027-01-15T09:00:00Z"})");
    }
    if (seen.path.ends_with(":encrypt")) return Answer(200, Encrypted(seen).dump());
    if (seen.path.ends_with(":decrypt")) {
      const auto opened = Decrypted(seen);
      if (!opened.is_null()) return Answer(200, opened.dump());
      return GoogleError(400, "INVALID_ARGUMENT",
                         "Decryption failed: verify that 'name' refers to the correct CryptoKey.");
    }
    // The granted role may not read the key.
    return GoogleError(403, "PERMISSION_DENIED",
                       "Permission 'cloudkms.cryptoKeys.get' denied on resource (or it may not exist).");
  }

  const std::string key_ = std::string(32, 'k');
  std::mutex mutex_;  // one request at a time
  std::map<std::string, Handler> handlers_;
  std::vector<Seen> seen_;
};

}  // namespace keyhold::testing
