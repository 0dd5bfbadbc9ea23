// ccloud cmek drill: what it asks for, in which order, what it leaves behind, and its signed report.
#include <fstream>

#include "crypto/rsa.h"
#include "tests/cli/fixture.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kCloneId[] = "22222222-2222-3333-4444-555555555555";
const std::string kOriginal = std::string("/api/v1/clusters/") + kClusterId;
const std::string kClone = std::string("/api/v1/clusters/") + kCloneId;
const json kSpec = {{"type", "AWS_KMS"}, {"uri", "arn:aws:kms:us-east-1:1:key/a"}, {"auth_principal", ""}};

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class DrillTest : public CliTest {
 protected:
  DrillTest() {
    json cluster = TestCluster("demo", "ENABLED");
    const json failed = {{"status", "ROTATE_FAILED"}, {"spec", {{"type", "AWS_KMS"}}}};  // never in force
    const json in_force = {{"status", "ENABLED"}, {"spec", kSpec}};
    cluster["cmek_config"]["region_infos"] = {
        {{"region", "us-east-1"}, {"key_infos", json::array({failed, in_force})}}};
    cluster["cmek_config"]["policy"] = {{"unreachable", "lock"}, {"is_default", false}};
    api_.AddCluster(cluster);
    json clone = TestCluster("drill");
    clone["id"] = kCloneId;
    json gone = clone;
    gone["state"] = "DELETED";
    api_.On("POST /api/v1/clusters", clone);
    states_ = {clone, gone};
    api_.On("DELETE " + kClone, clone);
    api_.On("GET " + kOriginal + "/networking/allowlist",
            {{"allowlist", {{{"cidr_ip", "10.0.0.0"}, {"cidr_mask", 8}, {"name", "n"}, {"sql", true}}}}});
    api_.On("PUT " + kClone + "/networking/allowlist/10.0.0.0/8", json::object());
    api_.On("PUT " + kClone + "/cmek/policy", json::object());
    Sql(kClone);
    Sql(kOriginal);
    run_psql_ = [this](const std::vector<std::string>& arguments, const std::string& file) -> StatusOr<Ran> {
      EXPECT_THAT(arguments[1], HasSubstr("sslmode=verify-full"));
      EXPECT_THAT(file, HasSubstr("*:*:*:*:"));
      if (!Revoked() || !locks_) return Ran{0, "1\n", ""};
      now_ += absl::Milliseconds(250);
      return Ran{2, "", refusal_};
    };
  }

  // What both subjects answer alike.
  void Sql(const std::string& path) {
    api_.On("POST " + path + "/sql-users", {{"name", "keyhold_drill"}});
    api_.On("DELETE " + path + "/sql-users/keyhold_drill", {{"name", "keyhold_drill"}});
    api_.On("GET " + path + "/connection-string",
            {{"params", {{"Host", "127.0.0.1"}, {"Port", "5"}, {"Database", "defaultdb"}}}});
    api_.OnText("GET " + path.substr(7) + "/cert", "-----BEGIN CERTIFICATE-----\n");
    for (const char* method : {"POST ", "PUT ", "PATCH "}) api_.On(method + path + "/cmek", json::object());
    const bool enabled = path == kOriginal;
    if (!enabled) api_.On("GET " + path + "/cmek", {{"status", "ENABLED"}});
    api_.On("GET " + path + "/cmek", {{"status", "REVOKED"}});
    api_.On("GET " + path + "/cmek", {{"status", "ENABLED"}});
  }

  // What the clone is, from one look at it to the next.
  void Answer() {
    for (const json& state : states_) api_.On("GET " + kClone, state);
  }

  bool Revoked() const {
    bool revoked = false;
    for (const Seen& seen : api_.Changes()) {
      if (seen.target.ends_with("/cmek")) revoked = seen.method == "PATCH";
    }
    return revoked;
  }
  std::vector<std::string> Calls() const {
    std::vector<std::string> calls;
    for (const Seen& seen : api_.Changes()) calls.push_back(seen.method + " " + seen.target);
    return calls;
  }

  std::vector<json> states_;
  bool locks_ = true;
  std::string refusal_ = "FATAL:  access to the cluster's data was revoked (CMEK REVOKE)\n";
};

TEST_F(DrillTest, OnACloneThatIsGoneAfterwards) {
  Answer();
  ASSERT_EQ(Ccloud({"cmek", "drill", "demo", "-o", "json"}), 0) << Err();
  const std::vector<std::string> expected = {
      "POST /api/v1/clusters",          "PUT " + kClone + "/networking/allowlist/10.0.0.0/8",
      "PUT " + kClone + "/cmek/policy", "POST " + kClone + "/cmek",
      "POST " + kClone + "/sql-users",  "PATCH " + kClone + "/cmek",
      "PUT " + kClone + "/cmek",        "DELETE " + kClone};
  EXPECT_EQ(Calls(), expected) << "and the cluster itself is left alone";
  const json create = api_.Changes()[0].body;
  EXPECT_TRUE(create["name"].get<std::string>().starts_with("drill-11111111-"));
  EXPECT_EQ(create["spec"]["dedicated"]["region_nodes"], (json{{"us-east-1", 1}}));
  EXPECT_EQ(api_.Changes()[3].body["region_specs"][0]["key_spec"], kSpec);
  const json report = Json()["report"];
  EXPECT_EQ(report["passed"], true);
  EXPECT_EQ(report["keys"][0]["key_spec"], kSpec);
  ASSERT_EQ(report["steps"].size(), 6U);
  EXPECT_EQ(report["steps"][3]["name"], "revocation locks");
  EXPECT_EQ(report["steps"][3]["seconds"], 0.25);
  EXPECT_EQ(report["steps"][3]["regions"][0]["sql_refused_with"], refusal_);
  EXPECT_EQ(TextOf(Json()["path"]).find("keyhold_drill"), std::string::npos);
}

TEST_F(DrillTest, TheReportIsSignedAndAChangeShows) {
  Answer();
  ASSERT_EQ(Ccloud({"cmek", "drill", "demo", "-o", "json"}), 0) << Err();
  const json kept = Json();
  std::string text = TextOf(kept["path"]);
  EXPECT_EQ(json::parse(text), kept["report"]);
  const std::string key = TextOf(kept["public_key"]), signature = TextOf(kept["signature"]);
  const auto verify = [&] {
    return crypto::VerifyRs256(key, crypto::AsBytes(text), crypto::AsBytes(signature));
  };
  EXPECT_TRUE(verify().ok());
  text.replace(text.find("0.25"), 4, "0.05");
  EXPECT_EQ(CauseOf(verify()), Cause::kUnauthenticated);
  const std::string command = "openssl dgst -sha256 -verify " + kept["public_key"].get<std::string>() +
                              " -signature " + kept["signature"].get<std::string>() + " " +
                              kept["path"].get<std::string>() + " > /dev/null";
  EXPECT_EQ(system(command.c_str()), 0);
}

TEST_F(DrillTest, ARefusalForAnotherReasonIsNoProof) {
  Answer();
  refusal_ = "could not connect to server: Connection refused\n";
  EXPECT_EQ(Ccloud({"cmek", "drill", "demo"}), 1);
  EXPECT_THAT(Err(), HasSubstr("revocation locks: SQL in us-east-1: not within 3m"));
  EXPECT_THAT(Out(), HasSubstr("FAIL  revocation locks"));
  EXPECT_EQ(Calls().back(), "DELETE " + kClone);
}

TEST_F(DrillTest, TheClusterItselfIsAskedForByNameAndBroughtBackThoughItDoesNotLock) {
  EXPECT_EQ(Ccloud({"cmek", "drill", "demo", "--on-cluster"}, "other\n"), 1);
  EXPECT_TRUE(Calls().empty());
  locks_ = false;
  EXPECT_EQ(Ccloud({"cmek", "drill", "demo", "--on-cluster", "--yes"}), 1);
  const std::vector<std::string> expected = {"POST " + kOriginal + "/sql-users",
                                             "PATCH " + kOriginal + "/cmek", "PUT " + kOriginal + "/cmek",
                                             "DELETE " + kOriginal + "/sql-users/keyhold_drill"};
  EXPECT_EQ(Calls(), expected);
}

TEST_F(DrillTest, TheKmsItselfIsRevokedAndRestoredByTheUsersCommands) {
  std::vector<std::string> ran;
  run_shell_ = [&](const std::string& command) -> StatusOr<Ran> {
    ran.push_back(command);
    return Ran{0, "", ""};
  };
  run_psql_ = [&](const auto&, const auto&) -> StatusOr<Ran> {
    if (ran.size() != 1) return Ran{0, "1\n", ""};
    return Ran{2, "", "FATAL:  key arn:aws:kms:us-east-1:1:key/drill is disabled\n"};
  };
  json clone = TestCluster("drill");
  clone["id"] = kCloneId;
  json locked = clone, gone = clone;
  locked["state"] = "LOCKED";
  gone["state"] = "DELETED";
  states_ = {clone, locked, clone, gone};
  Answer();
  const std::string spec = R"({"type":"AWS_KMS","uri":"arn:aws:kms:us-east-1:1:key/drill"})";
  ASSERT_EQ(Ccloud({"cmek", "drill", "demo", "--cmek-key-spec", spec, "--revoke-with", "take",
                    "--restore-with", "give", "-o", "json"}),
            0)
      << Err();
  EXPECT_EQ(ran, (std::vector<std::string>{"take", "give"}));
  EXPECT_EQ(Json()["report"]["revoked_by"], "take");
  EXPECT_EQ(Json()["report"]["keys"][0]["key_spec"]["uri"], "arn:aws:kms:us-east-1:1:key/drill");
  for (const std::string& call : Calls()) EXPECT_FALSE(call.starts_with("PATCH")) << call;
}

TEST_F(DrillTest, AKeyThatWasTakenAwayIsGivenBackThoughTheDrillFails) {
  Answer();
  std::vector<std::string> ran;
  run_shell_ = [&](const std::string& command) -> StatusOr<Ran> {
    ran.push_back(command);
    return Ran{command == "take" ? 3 : 0, "", "no such key"};
  };
  EXPECT_EQ(Ccloud({"cmek", "drill", "demo", "--cmek-key-spec", kSpec.dump(), "--revoke-with", "take",
                    "--restore-with", "give"}),
            1);
  EXPECT_THAT(Err(), HasSubstr("the command `take` ended with 3: no such key"));
  EXPECT_EQ(ran, (std::vector<std::string>{"take", "give"}));
  EXPECT_EQ(Calls().back(), "DELETE " + kClone);
}

TEST_F(DrillTest, TheClustersOwnKeyIsNotTakenAwayForAClone) {
  EXPECT_EQ(Ccloud({"cmek", "drill", "demo", "--revoke-with", "a", "--restore-with", "b"}), 2);
  EXPECT_THAT(Err(), HasSubstr("a key for the drill"));
  EXPECT_EQ(Ccloud({"cmek", "drill", "demo", "--revoke-with", "a", "--on-cluster", "--yes"}), 2);
  EXPECT_EQ(Ccloud({"cmek", "drill", "demo", "--cmek-key-spec", kSpec.dump(), "--on-cluster", "--yes"}), 2);
  EXPECT_EQ(Ccloud({"cmek", "drill", "demo", "--cmek-key-spec", "{"}), 2);
  EXPECT_TRUE(api_.All().empty());
}

TEST_F(DrillTest, WithoutCmekThereIsNothingToDrill) {
  json plain = TestCluster("plain");
  plain["id"] = "33333333-2222-3333-4444-555555555555";
  api_.AddCluster(plain);
  EXPECT_EQ(Ccloud({"cmek", "drill", "plain"}), 1);
  EXPECT_THAT(Err(), HasSubstr("a drill needs a cluster that serves with CMEK ENABLED"));
  EXPECT_TRUE(Calls().empty());
}

}  // namespace
}  // namespace keyhold::cli
