// An AWS in this process, behind the transport seam: KMS that really wraps, STS that tells who calls. What it
// answers can be changed, per action, to anything.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crypto/aead.h"
#include "kms/http.h"
#include "kms/secret_json.h"

namespace keyhold::testing {

inline kms::HttpResponse Answer(int status, const std::string& body,
                                std::map<std::string, std::string> headers = {}) {
  return {status, std::move(headers), crypto::SecretBytes::CopyOf(crypto::AsBytes(body))};
}

inline kms::HttpResponse AwsError(const std::string& type, const std::string& message, int status = 400) {
  return Answer(status, nlohmann::json{{"__type", type}, {"message", message}}.dump());
}

class FakeAws final : public kms::HttpTransport {
 public:
  static constexpr char kKey[] =
      "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
  static constexpr char kCaller[] = "arn:aws:iam::999988887777:user/keyhold";
  static constexpr char kRole[] = "arn:aws:iam::111122223333:role/cmek";

  // A request as it came in.
  struct Seen {
    std::string host;
    std::string action;
    std::string body;
    std::string access_key_id;
    std::string session_token;
    std::string signed_for;  // region/service
    std::map<std::string, std::string> headers;
  };
  using Handler = std::function<StatusOr<kms::HttpResponse>(const Seen&)>;

  // What `action` answers from now on; an empty handler ends that.
  void On(const std::string& action, Handler handler) { handlers_[action] = std::move(handler); }

  const std::vector<Seen>& seen() const { return seen_; }
  size_t Count(const std::string& action) const {
    return static_cast<size_t>(
        std::count_if(seen_.begin(), seen_.end(), [&](const Seen& seen) { return seen.action == action; }));
  }
  // Of the key, in DescribeKey.
  nlohmann::json metadata = {{"Arn", kKey},
                             {"KeyState", "Enabled"},
                             {"KeyUsage", "ENCRYPT_DECRYPT"},
                             {"KeySpec", "SYMMETRIC_DEFAULT"}};
  // Told of each request how long it may take.
  std::function<void(absl::Duration)> on_timeout;
  // When AssumeRole's credentials end.
  std::string expiration = "2027-01-15T09:00:00Z";

  StatusOr<kms::HttpResponse> Send(const kms::HttpRequest& request) override {
    const std::lock_guard lock(mutex_);
    if (on_timeout) on_timeout(request.timeout);
    seen_.push_back(See(request));
    const Seen& seen = seen_.back();
    const auto handler = handlers_.find(seen.action);
    if (handler != handlers_.end() && handler->second) return handler->second(seen);
    return Serve(seen);
  }

  kms::HttpResponse Serve(const Seen& seen) {
    if (seen.action == "GetCallerIdentity") {
      return Answer(200, std::string("<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>") + kCaller +
                             "</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>");
    }
    if (seen.action == "AssumeRole") {
      return Answer(200,
                    "<AssumeRoleResponse><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>"
                    "rolesecret</SecretAccessKey><SessionToken>tok&amp;en</SessionToken><Expiration>" +
                        expiration + "</Expiration></Credentials></AssumeRoleResponse>");
    }
    const auto request = nlohmann::json::parse(seen.body);
    if (seen.action == "DescribeKey") return Answer(200, nlohmann::json{{"KeyMetadata", metadata}}.dump());
    if (seen.action == "Encrypt") return Wrapped(request, Decoded(request, "Plaintext"), false);
    if (seen.action == "GenerateDataKey") return Wrapped(request, std::string(32, 'd'), true);
    if (seen.action == "Decrypt") return Unwrapped(request);
    return AwsError("UnknownOperationException", "");
  }

 private:
  static Seen See(const kms::HttpRequest& request) {
    Seen seen{request.host, "", std::string(request.body.ExposeText()), "", "", "", request.headers};
    const auto target = request.headers.find("X-Amz-Target");
    const std::string name = "Action=";
    seen.action = target != request.headers.end()
                      ? target->second.substr(target->second.find('.') + 1)
                      : seen.body.substr(seen.body.find(name) + name.size(),
                                         seen.body.find('&') - seen.body.find(name) - name.size());
    if (request.aws.has_value()) {
      seen.access_key_id = request.aws->credentials->access_key_id;
      seen.session_token = std::string(request.aws->credentials->session_token.ExposeText());
      seen.signed_for = request.aws->region + "/" + request.aws->service;
    }
    return seen;
  }

  static std::string Decoded(const nlohmann::json& request, const char* name) {
    return std::string(kms::DecodeBase64(request.at(name).get<std::string>())->ExposeText());
  }
  static std::string Encoded(const std::string& bytes) {
    return std::string(kms::EncodeBase64(crypto::AsBytes(bytes)).ExposeText());
  }

  kms::HttpResponse Wrapped(const nlohmann::json& request, const std::string& plaintext, bool show) {
    const std::string blob =
        crypto::SealBox(crypto::AsBytes(key_), crypto::SystemRandom(),
                        crypto::AsBytes(request.at("EncryptionContext").dump()), crypto::AsBytes(plaintext));
    nlohmann::json answer = {{"KeyId", kKey}, {"CiphertextBlob", Encoded(blob)}};
    if (show) answer["Plaintext"] = Encoded(plaintext);
    return Answer(200, answer.dump());
  }
  kms::HttpResponse Unwrapped(const nlohmann::json& request) {
    const auto opened =
        crypto::OpenBox(crypto::AsBytes(key_), crypto::AsBytes(request.at("EncryptionContext").dump()),
                        crypto::AsBytes(Decoded(request, "CiphertextBlob")));
    if (!opened.ok()) return AwsError("InvalidCiphertextException", "");
    return Answer(
        200,
        nlohmann::json{{"KeyId", kKey}, {"Plaintext", Encoded(std::string(opened->ExposeText()))}}.dump());
  }

  const std::string key_ = std::string(32, 'k');
  std::mutex mutex_;  // one request at a time
  std::map<std::string, Handler> handlers_;
  std::vector<Seen> seen_;
};

}  // namespace keyhold::testing
