// The local cloud's Azure: login, vault and management, over the real proxy and TLS.
#include <gmock/gmock.h>

#include "tests/localcloud/azure_client.h"

namespace keyhold::localcloud {
namespace {

using ::testing::HasSubstr;

class AzureCloud : public ::testing::Test {
 protected:
  AzureAnswer Create(const std::string& name, const Json& body = {{"kty", "RSA"}, {"key_size", 2048}}) {
    return client_.Vault("POST", "/keys/" + name + "/create", body);
  }
  static std::string VersionOf(const AzureAnswer& answer) {
    const std::string kid = answer.body["key"]["kid"];
    return kid.substr(kid.rfind('/') + 1);
  }
  AzureAnswer Use(const std::string& key, const std::string& operation, const std::string& value,
                  const std::string& algorithm = "RSA-OAEP-256") {
    return client_.Vault("POST", "/keys/" + key + "/" + operation, {{"alg", algorithm}, {"value", value}});
  }

  TestCloud cloud_;
  AzureClient client_{cloud_};
};

TEST_F(AzureCloud, LoginTellsWhereItIs) {
  const std::string tenant = client_.customer()["tenant_id"];
  const AzureAnswer page = client_.Send("login.microsoftonline.com", "GET",
                                        "/" + tenant + "/v2.0/.well-known/openid-configuration", "", {});
  ASSERT_TRUE(page.ok()) << page.text;
  EXPECT_EQ(page.body["token_endpoint"],
            "https://login.microsoftonline.com/" + tenant + "/oauth2/v2.0/token");
  const AzureAnswer instance = client_.Send(
      "login.microsoftonline.com", "GET",
      "/common/discovery/"
      "instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.microsoftonline.com%2F" +
          tenant + "%2Foauth2%2Fv2.0%2Fauthorize",
      "", {});
  ASSERT_TRUE(instance.ok()) << instance.text;
  EXPECT_EQ(instance.body["metadata"][0]["preferred_network"], "login.microsoftonline.com");
}

TEST_F(AzureCloud, LoginRefusesAsEntraDoes) {
  const std::map<std::string, std::string> good = {{"grant_type", "client_credentials"},
                                                   {"client_id", client_.customer()["client_id"]},
                                                   {"client_secret", client_.customer()["client_secret"]},
                                                   {"scope", "https://vault.azure.net/.default"}};
  ASSERT_TRUE(client_.Login(good).ok());
  const auto with = [&](const std::string& name, const std::string& value) {
    auto form = good;
    form[name] = value;
    return client_.Login(form);
  };
  struct Row {
    AzureAnswer answer;
    const char* error;
    int number;
  };
  for (const Row& row :
       {Row{with("client_secret", "wrong"), "invalid_client", 7000215},
        Row{with("client_id", "nobody"), "unauthorized_client", 700016},
        Row{with("scope", "https://graph.microsoft.com/.default"), "invalid_resource", 500011},
        Row{with("scope", "openid"), "invalid_scope", 70011},
        Row{with("grant_type", "password"), "unsupported_grant_type", 70003},
        Row{with("client_assertion", "a.b.c"), "invalid_client", 700027},
        Row{client_.Login(good, "22222222-2222-2222-2222-222222222222"), "invalid_request", 90002}}) {
    EXPECT_FALSE(row.answer.ok());
    EXPECT_EQ(row.answer.body["error"], row.error) << row.answer.text;
    EXPECT_EQ(row.answer.body["error_codes"][0], row.number);
    EXPECT_THAT(row.answer.body["error_description"].get<std::string>(),
                HasSubstr("AADSTS" + std::to_string(row.number)));
  }
}

TEST_F(AzureCloud, AVaultChallengesBeforeItLooks) {
  const AzureAnswer answer = client_.Send(client_.VaultHost(), "POST", "/keys/k/create?api-version=7.4", "",
                                          {{"Content-Length", "0"}});
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.headers.at("www-authenticate"),
            "Bearer authorization=\"https://login.microsoftonline.com/" +
                client_.customer()["tenant_id"].get<std::string>() +
                "\", resource=\"https://vault.azure.net\"");
  EXPECT_EQ(answer.headers.at("x-ms-keyvault-region"), "eastus");
  EXPECT_EQ(client_.Vault("GET", "/keys/k").status, 404) << "nothing was made";
}

TEST_F(AzureCloud, TokensAreOfOneAudienceAndEnd) {
  const auto get = [&](const std::string& token) {
    return client_.Send(client_.VaultHost(), "GET", "/keys?api-version=7.4", "",
                        {{"Authorization", "Bearer " + token}});
  };
  const std::string token = client_.Token();
  EXPECT_TRUE(get(token).ok());
  EXPECT_EQ(get(client_.Token("https://management.azure.com")).status, 401);
  EXPECT_EQ(get(token.substr(0, token.size() - 4) + "AAAA").status, 401);
  EXPECT_EQ(get("x.y.z").status, 401);
  cloud_.clock().Advance(absl::Minutes(61));
  EXPECT_EQ(get(token).status, 401);
}

TEST_F(AzureCloud, AVaultThatIsNotThereHasNoName) {
  EXPECT_EQ(client_.Connect("no-such-vault.vault.azure.net"), 403);
  EXPECT_EQ(client_.Connect(client_.VaultHost()), 200);
}

TEST_F(AzureCloud, KeysHaveVersions) {
  const AzureAnswer first = Create("k");
  ASSERT_TRUE(first.ok()) << first.text;
  EXPECT_EQ(first.body["key"]["kty"], "RSA");
  EXPECT_EQ(first.body["attributes"]["recoveryLevel"], "Recoverable+Purgeable");
  const AzureAnswer second = client_.Vault("POST", "/keys/k/rotate");
  ASSERT_TRUE(second.ok()) << second.text;
  EXPECT_NE(VersionOf(first), VersionOf(second));
  EXPECT_NE(first.body["key"]["n"], second.body["key"]["n"]);
  EXPECT_EQ(VersionOf(client_.Vault("GET", "/keys/k/")), VersionOf(second))
      << "an empty version is the newest";
  EXPECT_EQ(VersionOf(client_.Vault("GET", "/keys/k/" + VersionOf(first))), VersionOf(first));
  EXPECT_EQ(client_.Vault("GET", "/keys/k/versions").body["value"].size(), 2);
  EXPECT_EQ(client_.Vault("GET", "/keys/k/" + std::string(32, 'a')).code(), "KeyNotFound");
}

TEST_F(AzureCloud, ListsArePaged) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Create(name).ok());
  AzureAnswer page = client_.Vault("GET", "/keys?maxresults=2");
  ASSERT_EQ(page.body["value"].size(), 2) << page.text;
  const std::string next = page.body["nextLink"];
  const std::string start = "https://" + client_.VaultHost();
  ASSERT_EQ(next.substr(0, start.size()), start);
  page = client_.Send(client_.VaultHost(), "GET", next.substr(start.size()), "",
                      {{"Authorization", "Bearer " + client_.Token()}});
  ASSERT_EQ(page.body["value"].size(), 1);
  EXPECT_EQ(page.body["value"][0]["kid"], client_.KeyUri("c"));
  EXPECT_TRUE(page.body["nextLink"].is_null());
}

TEST_F(AzureCloud, WrapsAndUnwraps) {
  ASSERT_TRUE(Create("k").ok());
  for (const char* algorithm : {"RSA-OAEP-256", "RSA-OAEP", "RSA1_5"}) {
    const AzureAnswer wrapped = Use("k", "wrapkey", "c2VjcmV0", algorithm);
    ASSERT_TRUE(wrapped.ok()) << wrapped.text;
    const AzureAnswer opened = Use("k", "unwrapkey", wrapped.body["value"], algorithm);
    ASSERT_TRUE(opened.ok()) << opened.text;
    EXPECT_EQ(opened.body["value"], "c2VjcmV0");
  }
  const AzureAnswer encrypted = Use("k", "encrypt", "c2VjcmV0");
  ASSERT_TRUE(client_.Vault("POST", "/keys/k/rotate").ok());
  EXPECT_EQ(Use("k", "decrypt", encrypted.body["value"]).code(), "BadParameter")
      << "the newest version is another";
  EXPECT_EQ(Use("k", "unwrapkey", "c2Vj+").code(), "BadParameter");
  EXPECT_EQ(Use("k", "wrapkey", "c2VjcmV0", "A256KW").code(), "BadParameter");
  EXPECT_EQ(Use("k", "wrapkey", std::string(400, 'A')).code(), "BadParameter") << "more than OAEP-256 holds";
}

TEST_F(AzureCloud, ADisabledKeyWrapsAndDoesNotUnwrap) {
  ASSERT_TRUE(Create("k").ok());
  const std::string wrapped = Use("k", "wrapkey", "c2VjcmV0").body["value"];
  ASSERT_TRUE(client_.Vault("PATCH", "/keys/k/", {{"attributes", {{"enabled", false}}}}).ok());
  EXPECT_TRUE(Use("k", "wrapkey", "c2VjcmV0").ok());
  const AzureAnswer refused = Use("k", "unwrapkey", wrapped);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.code(), "Forbidden");
  EXPECT_EQ(refused.inner(), "KeyDisabled");
  ASSERT_TRUE(client_.Vault("PATCH", "/keys/k/", {{"attributes", {{"enabled", true}}}}).ok());
  EXPECT_TRUE(Use("k", "unwrapkey", wrapped).ok());
}

TEST_F(AzureCloud, OperationsAreThoseOfTheKey) {
  ASSERT_TRUE(Create("k", {{"kty", "RSA"}, {"key_ops", {"encrypt", "decrypt"}}}).ok());
  EXPECT_TRUE(Use("k", "encrypt", "c2VjcmV0").ok());
  EXPECT_EQ(Use("k", "wrapkey", "c2VjcmV0").status, 403);
}

TEST_F(AzureCloud, DeletedKeysComeBackOrGo) {
  const std::string version = VersionOf(Create("k"));
  const std::string wrapped = Use("k", "wrapkey", "c2VjcmV0").body["value"];
  const AzureAnswer deleted = client_.Vault("DELETE", "/keys/k");
  ASSERT_TRUE(deleted.ok()) << deleted.text;
  EXPECT_EQ(deleted.body["scheduledPurgeDate"].get<int64_t>() - deleted.body["deletedDate"].get<int64_t>(),
            90 * 24 * 3600);
  EXPECT_EQ(Use("k", "unwrapkey", wrapped).code(), "KeyNotFound");
  EXPECT_TRUE(client_.Vault("GET", "/deletedkeys/k").ok());
  EXPECT_EQ(client_.Vault("GET", "/deletedkeys").body["value"].size(), 1);
  EXPECT_EQ(Create("k").inner(), "ObjectIsDeletedButRecoverable");
  ASSERT_TRUE(client_.Vault("POST", "/deletedkeys/k/recover").ok());
  EXPECT_EQ(VersionOf(client_.Vault("GET", "/keys/k")), version);
  EXPECT_TRUE(Use("k", "unwrapkey", wrapped).ok());

  ASSERT_TRUE(client_.Vault("DELETE", "/keys/k").ok());
  EXPECT_EQ(client_.Vault("DELETE", "/deletedkeys/k").status, 204);
  EXPECT_EQ(client_.Vault("GET", "/deletedkeys/k").status, 404);
  ASSERT_TRUE(Create("k").ok());
  EXPECT_FALSE(Use("k", "unwrapkey", wrapped).ok()) << "the name is the same, the key is not";
}

TEST_F(AzureCloud, RetentionEndsByTheClock) {
  ASSERT_TRUE(Create("k").ok());
  ASSERT_TRUE(client_.Vault("DELETE", "/keys/k").ok());
  cloud_.clock().Advance(absl::Hours(24 * 89));
  EXPECT_TRUE(client_.Vault("GET", "/deletedkeys/k").ok());
  cloud_.clock().Advance(absl::Hours(25));
  EXPECT_EQ(client_.Vault("GET", "/deletedkeys/k").status, 404);
}

TEST_F(AzureCloud, RotationPolicyMakesVersions) {
  ASSERT_TRUE(Create("k").ok());
  const Json rotate = {{"trigger", {{"timeAfterCreate", "P30D"}}}, {"action", {{"type", "Rotate"}}}};
  ASSERT_TRUE(client_.Vault("PUT", "/keys/k/rotationpolicy", {{"lifetimeActions", {rotate}}}).ok());
  EXPECT_EQ(client_
                .Vault("PUT", "/keys/k/rotationpolicy",
                       {{"lifetimeActions", {{{"trigger", {{"timeAfterCreate", "soon"}}}}}}})
                .code(),
            "BadParameter");
  cloud_.clock().Advance(absl::Hours(24 * 31));
  EXPECT_EQ(client_.Vault("GET", "/keys/k/versions").body["value"].size(), 2);
}

// What cannot be read later would be in the way of every request.
TEST_F(AzureCloud, RotationPoliciesOfAnotherFormAreRefused) {
  ASSERT_TRUE(Create("k").ok());
  const auto put = [&](const Json& action, const Json& expiry) {
    return client_.Vault("PUT", "/keys/k/rotationpolicy",
                         {{"lifetimeActions", {action}}, {"attributes", {{"expiryTime", expiry}}}});
  };
  const Json trigger = {{"timeAfterCreate", nullptr}, {"timeBeforeExpiry", "P30D"}};
  EXPECT_EQ(put({{"trigger", trigger}, {"action", "Rotate"}}, "P90D").code(), "BadParameter");
  EXPECT_EQ(put({{"trigger", trigger}, {"action", {{"type", 1}}}}, "P90D").code(), "BadParameter");
  EXPECT_EQ(put({{"trigger", trigger}}, "P90D").code(), "BadParameter");
  EXPECT_EQ(put({{"trigger", {"P30D"}}, {"action", {{"type", "Rotate"}}}}, "P90D").code(), "BadParameter");
  const Json rotate = {{"trigger", trigger}, {"action", {{"type", "Rotate"}}}};
  EXPECT_TRUE(put(rotate, nullptr).ok());
  EXPECT_TRUE(put(rotate, "P2000000000Y").ok());
  EXPECT_EQ(client_.Vault("GET", "/keys/k/versions").body["value"].size(), 1);
}

TEST_F(AzureCloud, AccessPoliciesAndRolesDecide) {
  ASSERT_TRUE(Create("k").ok());
  const std::string id = client_.VaultId();
  const std::string customer =
      client_.Manage("GET", id).body["properties"]["accessPolicies"][0]["objectId"].get<std::string>();
  const Json own = {{"tenantId", client_.customer()["tenant_id"]},
                    {"objectId", customer},
                    {"permissions", {{"keys", {"list", "get"}}}}};
  ASSERT_TRUE(
      client_.Manage("PUT", id + "/accessPolicies/replace", {{"properties", {{"accessPolicies", {own}}}}})
          .ok());
  const AzureAnswer refused = Use("k", "wrapkey", "c2VjcmV0");
  EXPECT_EQ(refused.inner(), "AccessDenied");
  EXPECT_THAT(refused.text, HasSubstr("does not have keys wrapKey permission on key vault"));

  ASSERT_TRUE(client_.Manage("PATCH", id, {{"properties", {{"enableRbacAuthorization", true}}}}).ok());
  EXPECT_EQ(client_.Vault("GET", "/keys/k").inner(), "ForbiddenByRbac");
  const std::string assignment = id + "/keys/k/providers/Microsoft.Authorization/roleAssignments/r1";
  const Json role = {{"properties",
                      {{"roleDefinitionId", "/x/roleDefinitions/e147488a-f6f5-4113-8e2d-b22465e65bf6"},
                       {"principalId", customer}}}};
  ASSERT_TRUE(client_.Manage("PUT", assignment, role).ok());
  EXPECT_TRUE(Use("k", "wrapkey", "c2VjcmV0").ok());
  EXPECT_EQ(client_.Vault("DELETE", "/keys/k").inner(), "ForbiddenByRbac") << "the role may only use it";
  EXPECT_EQ(client_.Vault("GET", "/keys/other").inner(), "ForbiddenByRbac") << "the role is on that key";
  ASSERT_TRUE(client_.Manage("DELETE", assignment).ok());
  EXPECT_EQ(Use("k", "wrapkey", "c2VjcmV0").inner(), "ForbiddenByRbac");
}

TEST_F(AzureCloud, VaultsAreMadeDeletedAndPurged) {
  const std::string base = client_.VaultId().substr(0, client_.VaultId().rfind('/'));
  const Json made = {{"location", "westeurope"},
                     {"properties", {{"softDeleteRetentionInDays", 7}, {"accessPolicies", Json::array()}}}};
  const AzureAnswer vault = client_.Manage("PUT", base + "/new-vault", made);
  ASSERT_EQ(vault.status, 201) << vault.text;
  EXPECT_EQ(vault.body["properties"]["vaultUri"], "https://new-vault.vault.azure.net/");
  EXPECT_EQ(client_.Send("new-vault.vault.azure.net", "GET", "/keys?api-version=7.4", "", {})
                .headers.at("x-ms-keyvault-region"),
            "westeurope");
  ASSERT_TRUE(client_.Manage("DELETE", base + "/new-vault").ok());
  EXPECT_EQ(client_.Connect("new-vault.vault.azure.net"), 403);
  EXPECT_EQ(client_.Manage("PUT", base + "/new-vault", made).code(), "ConflictError");
  const std::string deleted = "/subscriptions/" + client_.customer()["subscription_id"].get<std::string>() +
                              "/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/new-vault";
  EXPECT_TRUE(client_.Manage("GET", deleted).ok());
  ASSERT_TRUE(client_.Manage("POST", deleted + "/purge").ok());
  EXPECT_EQ(client_.Manage("PUT", base + "/new-vault", made).status, 201);
}

TEST_F(AzureCloud, BadInputChangesNothing) {
  for (const Json& body :
       {Json::object(), Json{{"kty", "RSA"}, {"key_size", 1024}}, Json{{"kty", 7}},
        Json{{"kty", "RSA"}, {"key_ops", {"fly"}}}, Json{{"kty", "RSA"}, {"tags", {1}}}, Json{{"kty", "DSA"}},
        Json{{"kty", "RSA"}, {"attributes", {{"enabled", "yes"}}}}}) {
    EXPECT_EQ(Create("k", body).code(), "BadParameter") << body;
  }
  EXPECT_EQ(Create("k", {{"kty", "EC"}}).status, 501) << "what is not built says so";
  EXPECT_EQ(Create("a%2Fb").code(), "BadParameter");
  const std::string token = client_.Token();
  for (const std::string& text : {std::string("{"), std::string("[]"), std::string(100, '[')}) {
    EXPECT_EQ(client_
                  .Send(client_.VaultHost(), "POST", "/keys/k/create?api-version=7.4", text,
                        {{"Authorization", "Bearer " + token}})
                  .code(),
              "BadParameter");
  }
  EXPECT_EQ(
      client_.Send(client_.VaultHost(), "GET", "/keys", "", {{"Authorization", "Bearer " + token}}).code(),
      "BadParameter")
      << "no api-version";
  EXPECT_EQ(client_.Vault("GET", "/keys").body["value"].size(), 0);
}

TEST_F(AzureCloud, IsThereAgainAfterARestart) {
  const std::string version = VersionOf(Create("k"));
  const std::string wrapped = Use("k", "wrapkey", "c2VjcmV0").body["value"];
  const std::string certificate = ReadFile(cloud_.File("platform/azure-client.pem"));
  cloud_.Restart();
  EXPECT_EQ(AzureClient(cloud_).customer(), client_.customer());
  EXPECT_EQ(ReadFile(cloud_.File("platform/azure-client.pem")), certificate);
  EXPECT_EQ(VersionOf(client_.Vault("GET", "/keys/k")), version);
  EXPECT_EQ(Use("k", "unwrapkey", wrapped).body["value"], "c2VjcmV0");
}

TEST_F(AzureCloud, EveryUseIsLogged) {
  ASSERT_TRUE(Create("k").ok());
  Use("k", "wrapkey", "c2VjcmV0");
  client_.Vault("GET", "/keys/none");
  const std::string log = ReadFile(cloud_.File("access.log"));
  EXPECT_THAT(log, HasSubstr("\"action\":\"KeyWrap\""));
  EXPECT_THAT(log, HasSubstr("\"outcome\":\"KeyNotFound\""));
  EXPECT_THAT(log, HasSubstr("\"key\":\"" + client_.KeyUri("k")));
  EXPECT_EQ(log.find("c2VjcmV0"), std::string::npos);
  EXPECT_EQ(log.find(client_.customer()["client_secret"].get<std::string>()), std::string::npos);
}

}  // namespace
}  // namespace keyhold::localcloud
