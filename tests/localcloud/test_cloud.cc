#include "tests/localcloud/test_cloud.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "localcloud/aws/sigv4.h"
#include "tests/localcloud/proxied.h"

namespace keyhold::localcloud {

TempDir::TempDir() {
  char path[] = "/tmp/keyhold-localcloud-XXXXXX";
  if (mkdtemp(path) == nullptr) abort();
  path_ = path;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string XmlValue(const std::string& xml, const std::string& name) {
  size_t begin = xml.find("<" + name + ">");
  size_t end = xml.find("</" + name + ">");
  if (begin == std::string::npos || end == std::string::npos) return "";
  begin += name.size() + 2;
  return xml.substr(begin, end - begin);
}

Answer AwsClient::Send(const std::string& host, const std::string& scope, const std::string& service,
                       std::map<std::string, std::string> headers, const std::string& body) const {
  std::string date = absl::FormatTime("%Y%m%dT%H%M%SZ", clock_->Now(), absl::UTCTimeZone());
  headers["host"] = host;
  headers["x-amz-date"] = date;
  if (!credentials_.session_token.empty()) headers["x-amz-security-token"] = credentials_.session_token;
  HttpRequest request{"POST", "/", host, "", {headers.begin(), headers.end()}, body};
  aws::Authorization authorization{credentials_.access_key_id, date.substr(0, 8), scope, service, {}, ""};
  for (const auto& [name, value] : headers) authorization.signed_headers.push_back(name);
  std::string to_sign =
      aws::StringToSign(authorization, date, aws::CanonicalRequest(request, authorization.signed_headers));
  headers["authorization"] = absl::StrCat(
      "AWS4-HMAC-SHA256 Credential=", credentials_.access_key_id, "/", date.substr(0, 8), "/", scope, "/",
      service, "/aws4_request, SignedHeaders=", absl::StrJoin(authorization.signed_headers, ";"),
      ", Signature=",
      aws::Signature(crypto::AsBytes(credentials_.secret_access_key), authorization, to_sign));

  const auto client = ProxiedClient(host, port_, ca_file_);
  std::string type = headers["content-type"];
  headers.erase("content-type");
  auto result = client->Post("/", httplib::Headers(headers.begin(), headers.end()), body, type);
  Answer answer;
  if (!result) return answer;
  answer.status = result->status;
  answer.text = result->body;
  return answer;
}

Answer AwsClient::Kms(const std::string& operation, const Json& in, const std::string& region) const {
  Answer answer =
      Send("kms." + region + ".amazonaws.com", region, "kms",
           {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "TrentService." + operation}},
           in.is_string() ? in.get<std::string>() : in.dump());
  answer.body = answer.text.empty() ? Json::object() : Json::parse(answer.text, nullptr, false);
  if (!answer.ok() && answer.body.is_object()) {
    answer.type = answer.body.value("__type", "");
    answer.message = answer.body.value("message", "");
  }
  return answer;
}

namespace {

Answer SendForm(const AwsClient& client, const std::string& host, const std::string& service,
                const AwsClient::Form& form) {
  std::string body = absl::StrJoin(form, "&", [](std::string* out, const auto& pair) {
    absl::StrAppend(out, pair.first, "=", PercentEncoded(pair.second));
  });
  std::string region = host == service + ".amazonaws.com" ? "us-east-1" : host.substr(service.size() + 1);
  region = region.substr(0, region.find('.'));
  Answer answer = client.Send(host, region, service,
                              {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}}, body);
  if (!answer.ok()) {
    answer.type = XmlValue(answer.text, "Code");
    answer.message = XmlValue(answer.text, "Message");
  }
  return answer;
}

}  // namespace

Answer AwsClient::Sts(const std::string& action, Form form, const std::string& host) const {
  form.merge(Form{{"Action", action}, {"Version", "2011-06-15"}});
  return SendForm(*this, host, "sts", form);
}

Answer AwsClient::Iam(const std::string& action, Form form) const {
  form.merge(Form{{"Action", action}, {"Version", "2010-05-08"}});
  return SendForm(*this, "iam.amazonaws.com", "iam", form);
}

void TestCloud::Start() {
  auto cloud = LocalCloud::Start({dir_.path(), "127.0.0.1:0"}, clock_, crypto::SystemRandom());
  ASSERT_TRUE(cloud.ok()) << cloud.status();
  cloud_ = *std::move(cloud);
}

AwsClient TestCloud::With(AwsCredentials credentials) const {
  return AwsClient(cloud_->port(), File("ca.pem"), std::move(credentials), clock_);
}

AwsClient TestCloud::Customer() const {
  Json file = Json::parse(ReadFile(File("customer.json")));
  return With({file["aws"]["access_key_id"], file["aws"]["secret_access_key"], ""});
}

AwsClient TestCloud::Platform() const {
  std::istringstream file(ReadFile(File("platform/aws-credentials")));
  std::string section, name, equals;
  AwsCredentials credentials;
  file >> section >> name >> equals >> credentials.access_key_id >> name >> equals >>
      credentials.secret_access_key;
  return With(credentials);
}

std::string TestCloud::customer_account() const {
  return Json::parse(ReadFile(File("customer.json")))["aws"]["account_id"];
}

std::string TestCloud::platform_arn() const {
  return Json::parse(ReadFile(File("principals.json")))["aws"]["principal_arn"];
}

std::string TestCloud::NewKey(const Json& in, const std::string& region) const {
  Answer answer = Customer().Kms("CreateKey", in, region);
  EXPECT_TRUE(answer.ok()) << answer.text;
  return answer.ok() ? answer.body["KeyMetadata"]["Arn"].get<std::string>() : "";
}

Answer TestCloud::Grant(const std::string& key, const Json& statement) const {
  Json own = {{"Effect", "Allow"},
              {"Principal", {{"AWS", "arn:aws:iam::" + customer_account() + ":root"}}},
              {"Action", "kms:*"},
              {"Resource", "*"}};
  Json policy = {{"Version", "2012-10-17"}, {"Statement", Json::array({own, statement})}};
  return Customer().Kms("PutKeyPolicy",
                        {{"KeyId", key}, {"PolicyName", "default"}, {"Policy", policy.dump()}});
}

}  // namespace keyhold::localcloud
