#include <fstream>

#include "tests/cli/fixture.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kSpec[] = R"({"type":"AWS_KMS","uri":"arn:aws:kms:us-east-1:1:key/a"})";
const std::string kCmekPath = std::string("/api/v1/clusters/") + kClusterId + "/cmek";

json CmekInfo(const std::string& status, const std::string& message = "") {
  return {{"status", status},
          {"region_infos",
           {{{"region", "us-east-1"},
             {"status", status},
             {"key_infos",
              {{{"status", status},
                {"user_message", message},
                {"spec", {{"type", "AWS_KMS"}, {"uri", "arn:aws:kms:us-east-1:1:key/a"}}}}}}}}}};
}

TEST_F(CliTest, ListIsATableOnStdoutAndProgressOnStderr) {
  api_.AddCluster(TestCluster());
  ASSERT_EQ(Ccloud({"cluster", "list"}), 0) << Err();
  EXPECT_THAT(Out(), StartsWith("NAME  ID                                    PLAN TYPE  CREATED AT"));
  EXPECT_THAT(Out(),
              HasSubstr("demo  11111111-2222-3333-4444-555555555555  ADVANCED   2026-11-24 09:00:00Z"));
  EXPECT_EQ(Err(), "∙∙∙ Retrieving clusters...\n");
}

TEST_F(CliTest, ListInJsonIsABareArray) {
  api_.AddCluster(TestCluster());
  ASSERT_EQ(Ccloud({"cluster", "list", "-o", "json", "-q"}), 0);
  EXPECT_EQ(Json(), json::array({TestCluster()}));
  EXPECT_EQ(Err(), "");
}

TEST_F(CliTest, ListReadsEveryPage) {
  api_.On("GET /api/v1/cluster-versions",
          {{"versions", {{{"version", "v1"}}}}, {"pagination", {{"next_page", "p2"}}}});
  api_.On("GET /api/v1/cluster-versions",
          {{"versions", {{{"version", "v2"}}}}, {"pagination", {{"next_page", ""}}}});
  ASSERT_EQ(Ccloud({"cluster", "versions", "--hide-header"}), 0);
  EXPECT_EQ(Out(), "v1\nv2\n");
  EXPECT_THAT(api_.All().back().target, HasSubstr("pagination.page=p2"));
}

TEST_F(CliTest, InfoFindsAClusterByNameAndById) {
  api_.AddCluster(TestCluster());
  for (const char* name : {"demo", kClusterId}) {
    ASSERT_EQ(Ccloud({"cluster", "info", name, "-o", "json"}), 0) << Err();
    EXPECT_EQ(Json(), TestCluster());
  }
}

TEST_F(CliTest, InfoOfALockedClusterStartsWithWhyAndWhatToDo) {
  json cluster = TestCluster("demo", "ENABLED");
  cluster["state"] = "LOCKED";
  cluster["lock"] = {
      {"cause", "KMS_DISABLED"}, {"message", "the key arn:x is disabled"}, {"since", "2026-11-24T10:00:00Z"}};
  api_.AddCluster(cluster);
  ASSERT_EQ(Ccloud({"cluster", "info", "demo"}), 0);
  EXPECT_THAT(Out(), StartsWith("This cluster is LOCKED: the key arn:x is disabled\n cause: KMS_DISABLED\n"
                                " since: 2026-11-24 10:00:00Z\n what to do: enable the key again"));
}

TEST_F(CliTest, ReencryptionIsToldAsFarAsItIs) {
  json info = CmekInfo("ENABLED");
  json& region = info["region_infos"][0];
  const auto line = [&](const json& reencryption) {
    region["reencryption"] = reencryption;
    api_.AddCluster(TestCluster());
    api_.On("GET " + kCmekPath, info);
    // The answer before this one is given once more (fake_api.h).
    for (int i = 0; i < 2; ++i) EXPECT_EQ(Ccloud({"cluster", "cmek", "get", "demo"}), 0) << Err();
    return Out();
  };
  EXPECT_THAT(line(json()), Not(HasSubstr("Re-encryption")));
  EXPECT_THAT(
      line(
          {{"state", "REWRITING"}, {"percent", 43.2}, {"bytes_per_second", 31457280.0}, {"remaining_s", 95}}),
      HasSubstr("Re-encryption: 43.2 %, rewriting at 30.0 MiB/s, about 1m35s left\n"));
  EXPECT_THAT(line({{"state", "COUNTING"}, {"percent", 0.0}, {"remaining_s", -1}}),
              HasSubstr("Re-encryption: 0.0 %, counting\n"));
  EXPECT_THAT(line({{"state", "WAITING"}, {"percent", 12.5}}),
              HasSubstr("12.5 %, goes on when the node serves"));
  EXPECT_THAT(line({{"state", "FAILED"}, {"percent", 12.5}, {"failure", "inode 9: damaged"}}),
              HasSubstr("12.5 %, failed, and tried again: inode 9: damaged"));
  region["key_infos"][0]["may_be_destroyed"] = true;
  EXPECT_THAT(
      line({{"state", "DONE"},
            {"percent", 100.0},
            {"proof", {{"files", 5}, {"blocks", 604}, {"proved_at", "2026-11-24T10:00:00Z"}}}}),
      HasSubstr("100 %: a scan of 5 files and 604 blocks ended at 2026-11-24 10:00:00Z and found nothing"));
  EXPECT_THAT(Out(), HasSubstr("May be destroyed: yes"));
  region["key_infos"][0]["may_be_destroyed"] = false;
  region["key_infos"][0]["version"] = {{"name", "3"}, {"may_be_destroyed", true}};
  EXPECT_THAT(line(json()), HasSubstr("Version: 3\n"));
  EXPECT_THAT(Out(), HasSubstr("Version may be destroyed: yes"));
}

TEST_F(CliTest, UnknownClusterIsOneLineThatNamesTheNextCommand) {
  EXPECT_EQ(Ccloud({"-q", "cluster", "info", "nobody"}), 1);
  EXPECT_EQ(Err(), "Error: there is no cluster \"nobody\"; `ccloud cluster list` shows those there are\n");
  EXPECT_EQ(Out(), "");
}

TEST_F(CliTest, ControlCharactersFromTheServerAreShownEscaped) {
  api_.AddCluster(TestCluster("evil\x1b[2J\xc2\x9b"));
  ASSERT_EQ(Ccloud({"cluster", "list"}), 0);
  EXPECT_THAT(Out(), HasSubstr("evil\\x1b[2J\\xc2\\x9b"));
  ASSERT_EQ(Ccloud({"cluster", "list", "-o", "json"}), 0);
  EXPECT_THAT(Out(), Not(HasSubstr("\x1b")));
}

TEST_F(CliTest, CreateSendsPlanRegionAndAddOnAndWaits) {
  json creating = TestCluster();
  creating["state"] = "CREATING";
  api_.On("POST /api/v1/clusters", creating);
  api_.On(std::string("GET /api/v1/clusters/") + kClusterId, creating);
  api_.On(std::string("GET /api/v1/clusters/") + kClusterId, TestCluster());
  ASSERT_EQ(Ccloud({"cluster", "create", "ADVANCED", "demo", "us-east-1", "--cloud", "AWS",
                    "--advanced-security-add-on", "--wait"}),
            0)
      << Err();
  EXPECT_EQ(Out(),
            std::string("Success! Created cluster\n name: demo\n id: ") + kClusterId + "\n state: CREATED\n");
  EXPECT_EQ(pauses_, 1);
  const json body = api_.Changes().front().body;
  EXPECT_EQ(body["provider"], "AWS");
  EXPECT_EQ(body["spec"]["plan"], "ADVANCED");
  EXPECT_EQ(body["spec"]["advanced_security_add_on"], true);
  EXPECT_EQ(body["spec"]["dedicated"]["region_nodes"], (json{{"us-east-1", 1}}));
}

TEST_F(CliTest, UpdateEnablesWhereCmekIsOffAndWaits) {
  api_.AddCluster(TestCluster());
  api_.On("GET " + kCmekPath, CmekInfo("DISABLED"));
  api_.On("GET " + kCmekPath, CmekInfo("ENABLING"));
  api_.On("GET " + kCmekPath, CmekInfo("ENABLED"));
  api_.On("POST " + kCmekPath, CmekInfo("ENABLING"));
  ASSERT_EQ(Ccloud({"cluster", "update", kClusterId, "--cmek-key-spec", kSpec}), 0) << Err();
  ASSERT_EQ(api_.Changes().size(), 1);
  EXPECT_EQ(api_.Changes()[0].body,
            (json{{"region_specs", {{{"region", "us-east-1"}, {"key_spec", json::parse(kSpec)}}}}}));
  EXPECT_EQ(pauses_, 1);
}

TEST_F(CliTest, UpdateRotatesWhereCmekIsOn) {
  api_.AddCluster(TestCluster("demo", "ENABLED"));
  api_.On("GET " + kCmekPath, CmekInfo("ENABLED"));
  api_.On("PUT " + kCmekPath, CmekInfo("ROTATING"));
  ASSERT_EQ(Ccloud({"cluster", "update", "demo", "--cmek-key-spec", kSpec}), 0) << Err();
  EXPECT_EQ(api_.Changes().front().method, "PUT");
}

TEST_F(CliTest, AFailedEnableExitsOneWithTheKeysMessage) {
  api_.AddCluster(TestCluster());
  api_.On("GET " + kCmekPath, CmekInfo("DISABLED"));
  api_.On("GET " + kCmekPath, CmekInfo("ENABLE_FAILED", "grant kms:Decrypt"));
  api_.On("POST " + kCmekPath, CmekInfo("ENABLING"));
  EXPECT_EQ(Ccloud({"-q", "cluster", "update", "demo", "--cmek-key-spec", kSpec}), 1);
  EXPECT_EQ(Err(), "Error: CMEK ended in ENABLE_FAILED: grant kms:Decrypt\n");
}

TEST_F(CliTest, ARefusedKeyShowsTheServersWords) {
  api_.AddCluster(TestCluster());
  api_.On("GET " + kCmekPath, CmekInfo("DISABLED"));
  api_.On("POST " + kCmekPath,
          {{"code", 9},
           {"message", "CMEK needs the ADVANCED plan"},
           {"details", {{{"reason", "FAILED_PRECONDITION"}}}}},
          400);
  EXPECT_EQ(Ccloud({"-q", "cluster", "cmek", "enable", "demo", "--cmek-key-spec", kSpec}), 1);
  EXPECT_EQ(Err(), "Error: CMEK needs the ADVANCED plan\n");
}

TEST_F(CliTest, RotateWithoutASpecTakesTheKeyInForce) {
  json cluster = TestCluster("demo", "ENABLED");
  cluster["cmek_config"] = CmekInfo("ENABLED");
  api_.AddCluster(cluster);
  api_.On("PUT " + kCmekPath, CmekInfo("ENABLED"));
  ASSERT_EQ(Ccloud({"cluster", "cmek", "rotate", "demo"}), 0) << Err();
  EXPECT_EQ(api_.Changes().front().body["region_specs"][0]["key_spec"]["uri"],
            "arn:aws:kms:us-east-1:1:key/a");
}

TEST_F(CliTest, RevokeAsksForTheName) {
  api_.AddCluster(TestCluster("demo", "ENABLED"));
  api_.On("PATCH " + kCmekPath, CmekInfo("REVOKED"));
  EXPECT_EQ(Ccloud({"cluster", "cmek", "revoke", "demo"}, "dema\n"), 1);
  EXPECT_EQ(Ccloud({"cluster", "cmek", "revoke", "demo"}), 1);
  EXPECT_TRUE(api_.Changes().empty());
  ASSERT_EQ(Ccloud({"cluster", "cmek", "revoke", "demo"}, "demo\n"), 0) << Err();
  ASSERT_EQ(Ccloud({"cluster", "cmek", "revoke", "demo", "--yes"}), 0);
  EXPECT_EQ(api_.Changes().front().body, (json{{"action", "REVOKE"}}));
}

TEST_F(CliTest, DeleteAsksForTheName) {
  api_.AddCluster(TestCluster());
  api_.On(std::string("DELETE /api/v1/clusters/") + kClusterId, TestCluster());
  EXPECT_EQ(Ccloud({"cluster", "delete", "demo"}, "\n"), 1);
  EXPECT_TRUE(api_.Changes().empty());
  ASSERT_EQ(Ccloud({"cluster", "delete", "demo"}, "demo\n"), 0);
  EXPECT_EQ(Out(), std::string("Success! Deleted cluster\n id: ") + kClusterId + "\n");
}

class SqlTest : public CliTest {
 protected:
  void SetUp() override {
    const std::string cluster = std::string("/clusters/") + kClusterId;
    api_.AddCluster(TestCluster());
    api_.OnText("GET " + cluster + "/cert", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
    api_.On("GET /api/v1" + cluster + "/connection-string",
            {{"connection_string", "postgresql://127.0.0.1:26257/defaultdb"},
             {"params", {{"Database", "defaultdb"}, {"Host", "127.0.0.1"}, {"Port", "26257"}}}});
  }
};

TEST_F(SqlTest, ConnectionUrlIsEncodedVerifiedAndNothingElse) {
  ASSERT_EQ(Ccloud({"cluster", "sql", "demo", "-u", "ma ya", "-p", "p@ss/:%'", "--connection-url"}), 0)
      << Err();
  const std::string ca = config_.path() + "/ccloud/certs/" + kClusterId + ".crt";
  std::string encoded = ca;
  for (size_t at = 0; (at = encoded.find('/', at)) != std::string::npos;) encoded.replace(at, 1, "%2F");
  EXPECT_EQ(
      Out(),
      "postgresql://ma%20ya:p%40ss%2F%3A%25%27@127.0.0.1:26257/defaultdb?sslmode=verify-full&sslrootcert=" +
          encoded + "\n");
  EXPECT_THAT(testing::ReadFile(ca), StartsWith("-----BEGIN CERTIFICATE-----"));
}

TEST_F(SqlTest, PsqlGetsThePasswordInAFileAndNotInItsArguments) {
  ASSERT_EQ(Ccloud({"cluster", "sql", "demo", "-u", "maya", "-p", "se:cr\\et"}), 0) << Err();
  EXPECT_EQ(psql_password_, "*:*:*:*:se\\:cr\\\\et\n");
  for (const std::string& argument : psql_) EXPECT_THAT(argument, Not(HasSubstr("cr\\et")));
}

TEST_F(CliTest, UserCreateTakesThePasswordFromTheInput) {
  api_.AddCluster(TestCluster());
  api_.On(std::string("POST /api/v1/clusters/") + kClusterId + "/sql-users", {{"name", "maya"}});
  ASSERT_EQ(Ccloud({"cluster", "user", "create", "demo", "maya"}, "secret\n"), 0) << Err();
  EXPECT_EQ(Out(), std::string("Success! Created SQL user\n name: maya\n cluster: ") + kClusterId + "\n");
  EXPECT_EQ(api_.Changes().front().body["password"], "secret");
}

TEST_F(CliTest, AllowlistUpdateKeepsWhatItIsNotTold) {
  const std::string path = std::string("/api/v1/clusters/") + kClusterId + "/networking/allowlist";
  const json entry = {
      {"cidr_ip", "1.1.1.0"}, {"cidr_mask", 24}, {"name", "home"}, {"sql", true}, {"ui", false}};
  api_.AddCluster(TestCluster());
  api_.On("GET " + path, {{"allowlist", {entry}}});
  api_.On("PATCH " + path + "/1.1.1.0/24", entry);
  ASSERT_EQ(Ccloud({"cluster", "networking", "allowlist", "update", "demo", "1.1.1.0/24", "--name", "hq"}), 0)
      << Err();
  EXPECT_EQ(api_.Changes().front().body, (json{{"name", "hq"}, {"sql", true}, {"ui", false}}));
  ASSERT_EQ(Ccloud({"cluster", "networking", "allowlist", "list", "demo"}), 0);
  EXPECT_EQ(Out(), "NETWORK     NAME  UI  SQL\n1.1.1.0/24  home      ✔\n");
}

TEST_F(CliTest, AuditListNamesActionClusterUserAndResult) {
  api_.On("GET /api/v1/auditlogevents", {{"entries",
                                          {{{"created_at", "2026-11-24T09:00:00Z"},
                                            {"action", "AUDIT_LOG_ACTION_UPDATE_CMEK"},
                                            {"cluster_name", "demo"},
                                            {"user_email", "m@x"},
                                            {"error", "denied"}}}}});
  ASSERT_EQ(Ccloud({"audit", "list", "--hide-header"}), 0);
  EXPECT_EQ(Out(), "2026-11-24 09:00:00Z  UPDATE_CMEK  demo  m@x  refused: denied\n");
}

TEST_F(CliTest, LoginKeepsKeyAndServerForThisUserAlone) {
  api_.On("GET /api/v1/organization", {{"id", "1"}, {"name", "Maya's"}, {"label", "org-1"}});
  std::ofstream(config_.File("key")) << kTestKey << "\n";
  key_ = server_ = "";
  EXPECT_EQ(Ccloud({"cluster", "list"}), 1);
  EXPECT_THAT(Err(), HasSubstr("not logged in"));
  ASSERT_EQ(Ccloud({"auth", "login", "--server", api_.url(), "--api-key-file", config_.File("key")}), 0)
      << Err();
  EXPECT_THAT(Out(), StartsWith("Success! logged in to \"Maya's\" (org-1) at http://127.0.0.1:"));
  EXPECT_EQ(std::filesystem::status(config_.File("ccloud/credentials.json")).permissions(),
            std::filesystem::perms(0600));
  ASSERT_EQ(Ccloud({"cluster", "list"}), 0) << Err();
  server_ = "http://127.0.0.1:1";
  EXPECT_EQ(Ccloud({"cluster", "list"}), 1) << "a kept key must not go to another server";
  EXPECT_THAT(Err(), HasSubstr("not logged in"));
  server_ = "";
  ASSERT_EQ(Ccloud({"auth", "logout"}), 0);
  EXPECT_EQ(Ccloud({"auth", "whoami"}), 1);
}

TEST_F(CliTest, LoginWithAWrongKeyKeepsNothing) {
  key_ = "CCDB1_wrong";
  EXPECT_EQ(Ccloud({"auth", "login"}), 1);
  EXPECT_THAT(Err(), HasSubstr("the API key is not known"));
  EXPECT_FALSE(std::filesystem::exists(config_.File("ccloud/credentials.json")));
}

}  // namespace
}  // namespace keyhold::cli
