#include "tests/localcloud/gcp_client.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "crypto/rsa.h"
#include "tests/localcloud/proxied.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr char kForm[] = "application/x-www-form-urlencoded";

}  // namespace

GcpClient GcpClient::WithKeyFile(TestCloud& cloud, const std::string& file) {
  const GcpAnswer answer = Token(cloud, Json::parse(ReadFile(cloud.File(file))), [](Json&, Json&) {});
  EXPECT_EQ(answer.status, 200) << answer.text;
  return GcpClient(cloud, answer.body.value("access_token", ""));
}

std::string GcpClient::Sign(TestCloud& cloud, const Json& key_file,
                            const std::function<void(Json& header, Json& claims)>& change) {
  const int64_t now = absl::ToUnixSeconds(cloud.clock().Now());
  Json header = {{"alg", "RS256"}, {"typ", "JWT"}, {"kid", key_file["private_key_id"]}};
  Json claims = {{"iss", key_file["client_email"]},
                 {"scope", "https://www.googleapis.com/auth/cloud-platform"},
                 {"aud", "https://oauth2.googleapis.com/token"},
                 {"iat", now},
                 {"exp", now + 3600}};
  change(header, claims);
  const auto key =
      crypto::RsaPrivateKey::FromPem(crypto::AsBytes(key_file["private_key"].get_ref<const std::string&>()));
  const std::string text =
      absl::StrCat(absl::WebSafeBase64Escape(header.dump()), ".", absl::WebSafeBase64Escape(claims.dump()));
  return absl::StrCat(text, ".", absl::WebSafeBase64Escape(key->Sign(crypto::AsBytes(text))));
}

GcpAnswer GcpClient::Token(TestCloud& cloud, const Json& key_file,
                           const std::function<void(Json& header, Json& claims)>& change) {
  return GcpClient(cloud, "").SendRaw(
      "POST", "oauth2.googleapis.com", "/token",
      "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=" +
          Sign(cloud, key_file, change),
      kForm);
}

GcpAnswer GcpClient::Send(const std::string& method, const std::string& host, const std::string& path,
                          const std::string& body) const {
  return SendRaw(method, host, "/v1/" + path, body, "application/json");
}

GcpAnswer GcpClient::SendRaw(const std::string& method, const std::string& host, const std::string& target,
                             const std::string& body, const std::string& type) const {
  const auto client = ProxiedClient(host, port_, ca_file_);
  client->set_url_encode(false);
  httplib::Request request;
  request.method = method;
  request.path = target;
  request.body = body;
  if (!token_.empty()) request.set_header("Authorization", "Bearer " + token_);
  if (!body.empty()) request.set_header("Content-Type", type);
  const auto result = client->send(request);
  GcpAnswer answer;
  if (!result) return answer;
  answer.status = result->status;
  answer.text = result->body;
  answer.body = Json::parse(result->body, nullptr, false);
  if (answer.body.is_object() && answer.body.contains("error") && answer.body["error"].is_object()) {
    answer.code = answer.body["error"].value("status", "");
    answer.message = answer.body["error"].value("message", "");
  }
  return answer;
}

}  // namespace keyhold::localcloud::gcp
