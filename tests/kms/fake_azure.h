// An Azure in this process, behind the transport seam: a login that hands out tokens, a vault that challenges
// and really wraps. What it answers can be changed, per action, to anything.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crypto/aead.h"
#include "kms/azure/assertion.h"
#include "kms/http.h"
#include "tests/kms/fake_aws.h"

namespace keyhold::testing {

inline kms::HttpResponse VaultError(int status, const std::string& code, const std::string& message,
                                    const std::string& inner = "") {
  nlohmann::json error = {{"code", code}, {"message", message}};
  if (!inner.empty()) error["innererror"] = {{"code", inner}};
  return Answer(status, nlohmann::json{{"error", error}}.dump(), {{"x-ms-keyvault-region", "eastus"}});
}

inline kms::HttpResponse LoginError(const std::string& code, const std::string& description,
                                    int status = 401) {
  return Answer(status, nlohmann::json{{"error", code}, {"error_description", description}}.dump());
}

class FakeAzure final : public kms::HttpTransport {
 public:
  static constexpr char kTenant[] = "11111111-2222-3333-4444-555555555555";
  static constexpr char kHost[] = "demo-vault.vault.azure.net";
  static constexpr char kKey[] = "https://demo-vault.vault.azure.net/keys/cmek";
  static constexpr char kVersion[] = "0123456789abcdef0123456789abcdef";

  // A request as it came in.
  struct Seen {
    std::string action;  // "token", "metadata", "challenge", "get", "wrapkey", "unwrapkey", "deleted"
    std::string host, path, bearer, body;
    std::map<std::string, std::string> headers;
    bool metadata = false;
  };
  using Handler = std::function<StatusOr<kms::HttpResponse>(const Seen&)>;

  // What `action` answers from now on; an empty handler ends that.
  void On(const std::string& action, Handler handler) { handlers_[action] = std::move(handler); }

  const std::vector<Seen>& seen() const { return seen_; }
  size_t Count(const std::string& action) const {
    return static_cast<size_t>(
        std::count_if(seen_.begin(), seen_.end(), [&](const Seen& seen) { return seen.action == action; }));
  }

  nlohmann::json key = {{"kid", std::string(kKey) + "/" + kVersion},
                        {"kty", "RSA"},
                        {"key_ops", {"encrypt", "decrypt", "wrapKey", "unwrapKey"}},
                        {"n", Modulus(256)},
                        {"e", "AQAB"}};
  nlohmann::json attributes = {{"enabled", true}};
  std::string version = kVersion;  // the newest
  std::string challenge = std::string(R"(Bearer authorization="https://login.microsoftonline.com/)") +
                          kTenant + R"(", resource="https://vault.azure.net")";
  int lifetime = 3600;  // of tokens, seconds

  StatusOr<kms::HttpResponse> Send(const kms::HttpRequest& request) override {
    const std::lock_guard lock(mutex_);
    seen_.push_back(See(request));
    const Seen& seen = seen_.back();
    const auto handler = handlers_.find(seen.action);
    if (handler != handlers_.end() && handler->second) return handler->second(seen);
    return Serve(seen);
  }

  kms::HttpResponse Serve(const Seen& seen) {
    if (seen.action == "token" || seen.action == "metadata") {
      nlohmann::json answer = {{"token_type", "Bearer"},
                               {"access_token", "token-" + std::to_string(Count(seen.action))},
                               {"expires_in", lifetime}};
      // The metadata service writes numbers as texts.
      if (seen.metadata) answer["expires_in"] = std::to_string(lifetime);
      return Answer(200, answer.dump());
    }
    if (seen.action == "challenge") return Challenge();
    if (seen.action == "get") return Vault({{"key", key}, {"attributes", attributes}});
    if (seen.action == "deleted") return VaultError(404, "KeyNotFound", "Deleted Key not found: cmek");
    const auto request = nlohmann::json::parse(seen.body);
    const std::string value = *Text(request.at("value").get<std::string>());
    return seen.action == "wrapkey" ? Wrapped(value) : Unwrapped(seen, value);
  }

  kms::HttpResponse Challenge() const {
    kms::HttpResponse answer =
        VaultError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.");
    answer.headers["www-authenticate"] = challenge;
    return answer;
  }
  static kms::HttpResponse Vault(const nlohmann::json& body) {
    return Answer(200, body.dump(), {{"x-ms-keyvault-region", "eastus"}});
  }
  // A modulus of `size` bytes.
  static std::string Modulus(size_t size) { return Encoded(std::string(size, '\xC8')); }
  static std::string Kid(const std::string& version) { return std::string(kKey) + "/" + version; }

 private:
  static Seen See(const kms::HttpRequest& request) {
    Seen seen{"",
              request.host,
              request.path,
              "",
              std::string(request.body.ExposeText()),
              request.headers,
              request.metadata};
    if (request.bearer != nullptr) seen.bearer = std::string(request.bearer->ExposeText());
    const std::string path = request.path.substr(0, request.path.find('?'));
    seen.action = request.metadata                                   ? "metadata"
                  : request.host.starts_with("login.")               ? "token"
                  : seen.bearer.empty()                              ? "challenge"
                  : path.starts_with("/deletedkeys/")                ? "deleted"
                  : path.ends_with("key") && request.method != "GET" ? path.substr(path.rfind('/') + 1)
                                                                     : "get";
    return seen;
  }

  static StatusOr<std::string> Text(const std::string& base64url) {
    auto decoded = kms::azure::DecodeBase64Url(base64url);
    if (!decoded.ok()) return decoded.status();
    return std::string(decoded->ExposeText());
  }
  static std::string Encoded(const std::string& bytes) {
    return std::string(kms::azure::EncodeBase64Url(crypto::AsBytes(bytes)).ExposeText());
  }

  // As long as an RSA-2048 ciphertext: a length, a box, and zeroes.
  kms::HttpResponse Wrapped(const std::string& value) {
    std::string box = crypto::SealBox(crypto::AsBytes(key_), crypto::SystemRandom(), crypto::AsBytes(version),
                                      crypto::AsBytes(value));
    box.insert(box.begin(), static_cast<char>(box.size()));
    box.resize(256);
    return Vault({{"kid", Kid(version)}, {"value", Encoded(box)}});
  }
  kms::HttpResponse Unwrapped(const Seen& seen, const std::string& value) {
    const std::string wanted = seen.path.substr(std::string("/keys/cmek/").size(), 32);
    const size_t size = static_cast<unsigned char>(value[0]);
    const std::string box = value.substr(1, size);
    const auto opened = crypto::OpenBox(crypto::AsBytes(key_), crypto::AsBytes(wanted), crypto::AsBytes(box));
    const bool padded = value.substr(1 + size) == std::string(value.size() - 1 - size, '\0');
    if (!opened.ok() || !padded) {
      return VaultError(400, "BadParameter", "Error occurred while decoding OAEP padding.");
    }
    return Vault({{"kid", Kid(wanted)}, {"value", Encoded(std::string(opened->ExposeText()))}});
  }

  const std::string key_ = std::string(32, 'k');
  std::mutex mutex_;  // one request at a time
  std::map<std::string, Handler> handlers_;
  std::vector<Seen> seen_;
};

}  // namespace keyhold::testing
