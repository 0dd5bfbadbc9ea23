// Who may call, who may connect, and what the audit log says about it.
#include <sys/stat.h>

#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class AccessTest : public ApiTest {
 protected:
  json Events(const std::string& query = "") { return Get("/api/v1/auditlogevents" + query).body; }
};

TEST_F(AccessTest, OnlyAValidKeyMayCall) {
  EXPECT_EQ(Get("/api/v1/organization").status, 200);
  std::string other_secret = key_;
  other_secret.back() = other_secret.back() == 'a' ? 'b' : 'a';
  for (const std::string& key : {std::string(), std::string("x"), other_secret, key_ + "x",
                                 std::string("CCDB1_' or 1=1 --aaaaaaaaa_") + std::string(40, 'a')}) {
    const auto answer = Call(port(), key, "GET", "/api/v1/organization");
    EXPECT_EQ(answer.status, 401) << key;
    EXPECT_EQ(answer.body["code"], 16);
  }
}

TEST_F(AccessTest, AgentsAndUsersAreKeptApart) {
  const std::string token = ReadText(dir_.path() + "/server/agent-token");
  EXPECT_EQ(Call(port(), token, "GET", "/api/v1/clusters").status, 403);
  EXPECT_EQ(Call(port(), key_, "GET", "/agent/v1/work?host=h").status, 403);
  EXPECT_EQ(Call(port(), "", "GET", "/agent/v1/work?host=h").status, 401);
  EXPECT_EQ(Call(port(), token, "PUT", "/agent/v1/nodes/x/status", "{}").status, 404);
  EXPECT_EQ(Call(port(), token, "PUT", "/agent/v1/nodes/x/status", "[]").status, 400);
}

TEST_F(AccessTest, SecretsAreForTheOwnerAlone) {
  for (const char* name : {"api-key", "agent-token", "keyhold.db"}) {
    struct stat info {};
    ASSERT_EQ(stat((dir_.path() + "/server/" + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << name;
  }
  EXPECT_EQ(key_.size(), 69U);
  EXPECT_THAT(key_, testing::StartsWith("CCDB1_"));
}

TEST_F(AccessTest, KeysAreShownOnceAndCanBeTakenBack) {
  const std::string account = Get("/api/v1/service-accounts").body["service_accounts"][0]["id"];
  const auto made = Send("POST", "/api/v1/api-keys", {{"name", "ci"}, {"service_account_id", account}});
  ASSERT_EQ(made.status, 200) << made.text;
  const std::string secret = made.body["secret"];
  const std::string path = "/api/v1/api-keys/" + made.body["api_key"]["id"].get<std::string>();
  EXPECT_EQ(Call(port(), secret, "GET", "/api/v1/organization").status, 200);
  EXPECT_EQ(Get(path).text.find(secret.substr(30)), std::string::npos);
  EXPECT_EQ(Send("PATCH", path, {{"name", "ci2"}}).body["name"], "ci2");
  EXPECT_EQ(Get("/api/v1/api-keys").body["api_keys"].size(), 2U);
  EXPECT_EQ(Send("DELETE", path, json::object()).status, 200);
  EXPECT_EQ(Call(port(), secret, "GET", "/api/v1/organization").status, 401);
  EXPECT_EQ(Send("DELETE", path, json::object()).status, 404);
  const std::string last = "/api/v1/api-keys/" + key_.substr(6, 22);
  EXPECT_EQ(Send("DELETE", last, json::object()).status, 400);
  EXPECT_EQ(Send("POST", "/api/v1/api-keys", {{"name", "x"}, {"service_account_id", "nobody"}}).status, 400);
}

TEST_F(AccessTest, SqlUsersReachTheNodeAsVerifiers) {
  StartAgent();
  const std::string id = Create("u");
  const std::string path = "/api/v1/clusters/" + id + "/sql-users";
  ASSERT_EQ(Send("POST", path, {{"name", "maya"}, {"password", "correct horse"}}).status, 200);
  const auto users = agent_->Desired(id).sql_users;
  ASSERT_EQ(users.size(), 1U) << "the answer came before the node had it";
  EXPECT_THAT(users[0].scram_verifier, testing::MatchesRegex("SCRAM-SHA-256\\$4096:.{24}\\$.{44}:.{44}"));
  EXPECT_EQ(Send("POST", path, {{"name", "maya"}, {"password", "correct horse"}}).status, 409);
  EXPECT_EQ(Send("PUT", path + "/maya/password", {{"password", "battery staple"}}).status, 200);
  EXPECT_NE(agent_->Desired(id).sql_users[0].scram_verifier, users[0].scram_verifier);
  EXPECT_EQ(Send("PUT", path + "/nobody/password", {{"password", "battery staple"}}).status, 404);
  EXPECT_EQ(Get(path).body["users"], json::parse(R"([{"name": "maya"}])"));
  EXPECT_EQ(Send("DELETE", path + "/maya", json::object()).status, 200);
  EXPECT_TRUE(agent_->Desired(id).sql_users.empty());
  EXPECT_EQ(Send("DELETE", path + "/maya", json::object()).status, 404);
}

TEST_F(AccessTest, BadSqlUsersAreRefused) {
  const std::string path = "/api/v1/clusters/" + Create("u") + "/sql-users";
  for (const char* name : {"", "admin", "root", "keyhold", "postgres", "pg_read_all", "1a", "a b", "a\"b",
                           "a;drop", "../a", "A", "$(x)"}) {
    EXPECT_EQ(Send("POST", path, {{"name", name}, {"password", "correct horse"}}).status, 400) << name;
  }
  for (const std::string& password :
       std::vector<std::string>{"", "short", "caf\xc3\xa9 caf\xc3\xa9", "new\nline new"}) {
    const auto answer = Send("POST", path, {{"name", "maya"}, {"password", password}});
    EXPECT_EQ(answer.status, 400) << password;
    if (!password.empty()) {
      EXPECT_EQ(answer.text.find(password), std::string::npos);
    }
  }
  EXPECT_EQ(Get(path).body["users"].size(), 0U);
}

TEST_F(AccessTest, TheAllowlistStartsWithThisMachine) {
  StartAgent();
  const std::string id = Create("w");
  EXPECT_THAT(agent_->Desired(id).allowlist, testing::UnorderedElementsAre("127.0.0.1/32", "::1/128"));
  const std::string path = "/api/v1/clusters/" + id + "/networking/allowlist";
  const json entry = {
      {"cidr_ip", "10.0.0.0"}, {"cidr_mask", 8}, {"name", "office"}, {"sql", true}, {"ui", false}};
  EXPECT_EQ(Send("POST", path, entry).status, 200);
  EXPECT_EQ(agent_->Desired(id).allowlist.size(), 3U);
  EXPECT_EQ(Send("POST", path, entry).status, 409);
  EXPECT_EQ(Send("PATCH", path + "/10.0.0.0/8", {{"sql", false}, {"ui", true}}).body["name"], "office");
  EXPECT_EQ(agent_->Desired(id).allowlist.size(), 2U);
  EXPECT_EQ(Send("PUT", path + "/2001:db8::/32", {{"sql", true}, {"ui", true}}).body["cidr_ip"],
            "2001:db8::");
  EXPECT_EQ(Send("DELETE", path + "/::1/128", json::object()).body["name"], "this-machine-ipv6");
  EXPECT_EQ(Send("DELETE", path + "/::1/128", json::object()).status, 404);
  const json list = Get(path).body;
  EXPECT_EQ(list["allowlist"].size(), 3U);
  EXPECT_EQ(list["propagating"], false);
}

TEST_F(AccessTest, BadAllowlistEntriesAreRefused) {
  const std::string path = "/api/v1/clusters/" + Create("w") + "/networking/allowlist";
  const auto add = [&](const json& ip, const json& mask) {
    return Send("POST", path, {{"cidr_ip", ip}, {"cidr_mask", mask}, {"sql", true}, {"ui", true}}).status;
  };
  EXPECT_EQ(add("10.0.0.1", 8), 400);
  EXPECT_EQ(add("10.0.0.0", 33), 400);
  EXPECT_EQ(add("::", 129), 400);
  EXPECT_EQ(add("10.0.0.0", "8"), 400);
  EXPECT_EQ(add("10.0.0", 8), 400);
  EXPECT_EQ(add("10.0.0.0; reboot", 8), 400);
  EXPECT_EQ(add(7, 8), 400);
  EXPECT_EQ(Send("POST", path, {{"cidr_ip", "10.0.0.0"}, {"cidr_mask", 8}, {"ui", true}}).status, 400);
  EXPECT_EQ(Send("DELETE", path + "/10.0.0.0/x", json::object()).status, 400);
  EXPECT_EQ(Get(path).body["allowlist"].size(), 2U);
}

TEST_F(AccessTest, TheAuditLogHasWhatWasMadeAndWhatWasRefused) {
  const std::string id = Create("log");
  Call(port(), key_, "POST", "/api/v1/clusters/" + id + "/cmek", RegionSpecs(kKey1).dump(), "ccloud/0.1");
  Send("POST", "/api/v1/clusters/" + id + "/sql-users", {{"name", "maya"}, {"password", "correct horse"}});
  const json entries = Events("?sort_order=DESC")["entries"];
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0]["action"], "AUDIT_LOG_ACTION_CREATE_SQL_USER");
  EXPECT_EQ(entries[0]["error"], "");
  EXPECT_EQ(entries[0]["payload"].get<std::string>().find("horse"), std::string::npos);
  EXPECT_EQ(entries[1]["action"], "AUDIT_LOG_ACTION_UPDATE_CMEK");
  EXPECT_EQ(entries[1]["source"], "AUDIT_LOG_SOURCE_CLI");
  EXPECT_THAT(entries[1]["error"].get<std::string>(), HasSubstr("still being created"));
  EXPECT_THAT(entries[1]["payload"].get<std::string>(), HasSubstr(kKey1));
  EXPECT_EQ(entries[2]["action"], "AUDIT_LOG_ACTION_CREATE_CLUSTER");
  EXPECT_EQ(entries[2]["cluster_id"], id);
  EXPECT_EQ(entries[2]["cluster_name"], "log");
  EXPECT_EQ(entries[2]["service_account_name"], "admin");
  EXPECT_EQ(entries[2]["metadata"]["ip_address"], "127.0.0.1");
  EXPECT_EQ(entries[2]["source"], "AUDIT_LOG_SOURCE_CC_API");
}

TEST_F(AccessTest, TheAuditLogGoesOnWhereAPageEnded) {
  for (const char* name : {"a", "b", "c"}) Create(name);
  const json first = Events("?limit=2&sort_order=ASC");
  ASSERT_EQ(first["entries"].size(), 2U);
  const json rest =
      Events("?limit=2&sort_order=ASC&starting_from=" + first["next_starting_from"].get<std::string>());
  ASSERT_EQ(rest["entries"].size(), 1U);
  EXPECT_EQ(rest["entries"][0]["cluster_name"], "c");
  EXPECT_EQ(Events("?starting_from=" + rest["next_starting_from"].get<std::string>())["entries"].size(), 0U);
  EXPECT_FALSE(Events("?limit=500&sort_order=DESC").contains("next_starting_from"));
  EXPECT_EQ(Get("/api/v1/auditlogevents?starting_from=yesterday").status, 400);
}

TEST_F(AccessTest, PathsAndMethodsThatAreNot) {
  EXPECT_EQ(Get("/api/v1/nothing").status, 404);
  EXPECT_EQ(Get("/").status, 404);
  EXPECT_EQ(Get("/api/v1/clusters//cmek").status, 404);
  EXPECT_EQ(Send("PUT", "/api/v1/clusters", json::object()).status, 405);
  EXPECT_EQ(Call(port(), "", "GET", "/api/v1/nothing").body["code"], 5);
  for (const auto& [method, path] :
       std::map<std::string, std::string>{{"GET", "/api/v1/clusters/x/backups"},
                                          {"POST", "/api/v1/clusters/x/restores"},
                                          {"PATCH", "/api/v1/clusters/x/databases"}}) {
    const auto answer = Send(method, path, method == "GET" ? json() : json::object());
    EXPECT_EQ(answer.status, 501) << path;
    EXPECT_EQ(answer.body["code"], 12);
  }
}

TEST_F(AccessTest, TheRestOfTheCatalogue) {
  const json organization = Get("/api/v1/organization").body;
  EXPECT_EQ(organization["cockroach_cloud_service_principals"]["aws"]["user_arn"],
            "arn:aws:iam::999900001111:user/keyhold");
  EXPECT_THAT(organization["label"].get<std::string>(), testing::MatchesRegex("org-[A-Za-z0-9]{5}"));
  EXPECT_EQ(Get("/api/v1/clusters/available-regions?provider=AWS").body["regions"][0]["provider"], "AWS");
  EXPECT_EQ(Get("/api/v1/clusters/available-regions?provider=IBM").status, 400);
  EXPECT_EQ(Get("/api/v1/cluster-versions").body["versions"][0]["support_status"], "SUPPORTED");
  EXPECT_EQ(Call(port(), "", "GET", "/healthz").text, "ok\n");
}

}  // namespace
}  // namespace keyhold::api
