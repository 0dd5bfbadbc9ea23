#include "tests/localcloud/azure_client.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text.h"
#include "tests/localcloud/proxied.h"

namespace keyhold::localcloud {
namespace {

std::string ErrorText(const Json& body, const char* name) {
  const Json error = body.is_object() ? body.value("error", Json()) : Json();
  return error.is_object() ? error.value(name, "") : error.is_string() ? error.get<std::string>() : "";
}

}  // namespace

std::string AzureAnswer::code() const { return ErrorText(body, "code"); }
std::string AzureAnswer::inner() const {
  const Json error = body.is_object() ? body.value("error", Json()) : Json();
  return error.is_object() && error.contains("innererror") ? error["innererror"].value("code", "") : "";
}

AzureClient::AzureClient(const TestCloud& cloud)
    : cloud_(cloud),
      customer_(Json::parse(ReadFile(cloud.File("customer.json")))["azure"]),
      principal_(Json::parse(ReadFile(cloud.File("principals.json")))["azure"]) {}

AzureAnswer AzureClient::Send(const std::string& host, const std::string& method, const std::string& target,
                              const std::string& body,
                              const std::map<std::string, std::string>& headers) const {
  const auto client =
      ProxiedClient(host, const_cast<TestCloud&>(cloud_).cloud().port(), cloud_.File("ca.pem"));
  client->set_url_encode(false);
  httplib::Request request;
  request.method = method;
  request.path = target;
  request.body = body;
  for (const auto& [name, value] : headers) request.set_header(name, value);
  const auto result = client->send(request);
  AzureAnswer answer;
  if (!result) return answer;
  answer.status = result->status;
  answer.text = result->body;
  answer.body = result->body.empty() ? Json() : Json::parse(result->body, nullptr, false);
  for (const auto& [name, value] : result->headers) answer.headers[absl::AsciiStrToLower(name)] = value;
  return answer;
}

int AzureClient::Connect(const std::string& host) const {
  httplib::Client proxy("127.0.0.1", const_cast<TestCloud&>(cloud_).cloud().port());
  httplib::Request request;
  request.method = "CONNECT";
  request.path = host + ":443";
  const auto result = proxy.send(request);
  return result ? result->status : 0;
}

AzureAnswer AzureClient::Login(const std::map<std::string, std::string>& form,
                               const std::string& tenant) const {
  const std::string body = absl::StrJoin(form, "&", [](std::string* out, const auto& pair) {
    absl::StrAppend(out, pair.first, "=", PercentEncoded(pair.second));
  });
  const std::string where = tenant.empty() ? customer_["tenant_id"].get<std::string>() : tenant;
  return Send("login.microsoftonline.com", "POST", absl::StrCat("/", where, "/oauth2/v2.0/token"), body,
              {{"Content-Type", "application/x-www-form-urlencoded"}});
}

std::string AzureClient::Token(const std::string& resource) const {
  const AzureAnswer answer = Login({{"grant_type", "client_credentials"},
                                    {"client_id", customer_["client_id"]},
                                    {"client_secret", customer_["client_secret"]},
                                    {"scope", resource + "/.default"}});
  EXPECT_TRUE(answer.ok()) << answer.text;
  return answer.ok() ? answer.body["access_token"].get<std::string>() : "";
}

AzureAnswer AzureClient::Vault(const std::string& method, const std::string& path, const Json& body) const {
  return Send(VaultHost(), method,
              absl::StrCat(path, absl::StrContains(path, "?") ? "&" : "?", "api-version=7.4"),
              body.is_null() ? "" : body.dump(),
              {{"Authorization", "Bearer " + Token()}, {"Content-Type", "application/json"}});
}

AzureAnswer AzureClient::Manage(const std::string& method, const std::string& path, const Json& body) const {
  return Send("management.azure.com", method, path + "?api-version=2022-07-01",
              body.is_null() ? "" : body.dump(),
              {{"Authorization", "Bearer " + Token("https://management.azure.com")},
               {"Content-Type", "application/json"}});
}

std::string AzureClient::VaultId() const {
  return absl::StrCat("/subscriptions/", customer_["subscription_id"].get<std::string>(), "/resourceGroups/",
                      customer_["resource_group"].get<std::string>(), "/providers/Microsoft.KeyVault/vaults/",
                      customer_["vault"].get<std::string>());
}

AzureAnswer AzureClient::Grant(const Json& permissions) const {
  const Json policy = {{"tenantId", customer_["tenant_id"]},
                       {"objectId", principal_["principal_id"]},
                       {"permissions", {{"keys", permissions}}}};
  const Json body = {{"properties", {{"accessPolicies", {policy}}}}};
  AzureAnswer removed = Manage("PUT", VaultId() + "/accessPolicies/remove", body);
  if (!removed.ok() || permissions.empty()) return removed;
  return Manage("PUT", VaultId() + "/accessPolicies/add", body);
}

}  // namespace keyhold::localcloud
