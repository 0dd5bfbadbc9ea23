// The CMEK operations over HTTP: claims 1, 2, 5 and 7 of the seed, as far as the server answers for them.
#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CmekTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    StartAgent();
  }
  std::string Path(const std::string& id) { return "/api/v1/clusters/" + id + "/cmek"; }
  json AwaitStatus(const std::string& id, const std::string& status) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < deadline) {
      json info = Get(Path(id)).body;
      if (info["status"] == status) return info;
    }
    ADD_FAILURE() << "not " << status << ": " << Get(Path(id)).text;
    return json::object();
  }
  std::string Enabled(const std::string& name) {
    const std::string id = Create(name);
    EXPECT_EQ(Send("POST", Path(id), RegionSpecs(kKey1)).status, 200);
    AwaitStatus(id, "ENABLED");
    return id;
  }
};

TEST_F(CmekTest, BasicAndStandardAreToldTheUpgradePath) {
  for (const std::string& plan : {std::string("BASIC"), std::string("STANDARD")}) {
    const std::string name = plan == "BASIC" ? "b" : "s";
    const auto answer = Send("POST", Path(Create(name, plan, false)), RegionSpecs(kKey1));
    EXPECT_EQ(answer.status, 400);
    EXPECT_THAT(answer.text,
                HasSubstr("ccloud cluster update " + name + " --plan ADVANCED --advanced-security-add-on"));
  }
}

TEST_F(CmekTest, AdvancedWithoutTheAddOnIsToldHowToTurnItOn) {
  const std::string id = Create("a", "ADVANCED", false);
  const auto answer = Send("POST", Path(id), RegionSpecs(kKey1));
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.text, HasSubstr("ccloud cluster update a --advanced-security-add-on"));
  EXPECT_EQ(Send("PATCH", "/api/v1/clusters/" + id, {{"advanced_security_add_on", true}}).status, 200);
  EXPECT_EQ(Send("POST", Path(id), RegionSpecs(kKey1)).status, 200);
  AwaitStatus(id, "ENABLED");
}

TEST_F(CmekTest, EnablingShowsWhileItRuns) {
  const std::string id = Create("e");
  agent_->Hold(true);
  const auto answer = Send("POST", Path(id), RegionSpecs(kKey1));
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["status"], "ENABLING");
  const json& region = answer.body["region_infos"][0];
  EXPECT_EQ(region["region"], "us-east-1");
  EXPECT_EQ(region["status"], "ENABLING");
  EXPECT_EQ(region["key_infos"][0]["spec"]["uri"], kKey1);
  EXPECT_EQ(region["key_infos"][0]["status"], "ENABLING");
  const json cluster = Get("/api/v1/clusters/" + id).body;
  EXPECT_EQ(cluster["operation_status"], "CRDB_CMEK_OPERATION_RUNNING");
  EXPECT_EQ(cluster["cmek_config"]["key_spec"]["uri"], kKey1);
  const auto second = Send("POST", Path(id), RegionSpecs(kKey2));
  EXPECT_EQ(second.status, 409);
  EXPECT_THAT(second.text, HasSubstr("under way"));
}

TEST_F(CmekTest, EnabledTwiceIsToldToRotate) {
  const std::string id = Enabled("t");
  const auto answer = Send("POST", Path(id), RegionSpecs(kKey2));
  EXPECT_EQ(answer.status, 409);
  EXPECT_THAT(answer.text, HasSubstr("use PUT"));
  EXPECT_EQ(Get(Path(id)).body["region_infos"][0]["key_infos"].size(), 1U);
}

TEST_F(CmekTest, RotationKeepsTheHistoryNewestFirst) {
  const std::string id = Enabled("r");
  agent_->Hold(true);
  const auto answer = Send("PUT", Path(id), RegionSpecs(kKey2));
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["status"], "ROTATING");
  const json& keys = answer.body["region_infos"][0]["key_infos"];
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0]["spec"]["uri"], kKey2);
  EXPECT_EQ(keys[0]["status"], "ENABLING");
  EXPECT_EQ(keys[1]["spec"]["uri"], kKey1);
  EXPECT_EQ(keys[1]["status"], "DISABLING");
  agent_->Hold(false);
  const json done = AwaitStatus(id, "ENABLED");
  EXPECT_EQ(done["region_infos"][0]["key_infos"][0]["spec"]["uri"], kKey2);
  EXPECT_EQ(done["region_infos"][0]["key_infos"][1]["status"], "DISABLED");
}

TEST_F(CmekTest, ReencryptionAndItsEvidenceAreTold) {
  const std::string id = Enabled("r");
  EXPECT_FALSE(Get(Path(id)).body["region_infos"][0].contains("reencryption"));
  const wire::Evidence evidence{"2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", 600, 9, 5, 3, 1};
  agent_->Report(id, [&](wire::NodeStatus& status) {
    status.reencryption = wire::Reencryption{"REWRITING", 43.2, 600, 300, 1e6, 40, "t", "", {}};
    status.keys.push_back(
        {{"AWS_KMS", kKey2, ""}, "DISABLED", "", "", "", true, evidence, wire::KeyVersion{"3", true}});
  });
  const json region = Get(Path(id)).body["region_infos"][0];
  EXPECT_EQ(region["reencryption"]["state"], "REWRITING");
  EXPECT_EQ(region["reencryption"]["percent"], 43.2);
  EXPECT_EQ(region["key_infos"][0]["may_be_destroyed"], false);
  EXPECT_FALSE(region["key_infos"][0].contains("evidence"));
  EXPECT_FALSE(region["key_infos"][0].contains("version"));
  EXPECT_EQ(region["key_infos"][1]["may_be_destroyed"], true);
  EXPECT_EQ(region["key_infos"][1]["evidence"], wire::ToJson(evidence));
  EXPECT_EQ(region["key_infos"][1]["version"], (json{{"name", "3"}, {"may_be_destroyed", true}}));
  const std::string metrics = Call(port(), "", "GET", "/metrics").text;
  EXPECT_THAT(metrics, testing::ContainsRegex("keyhold_node_reencrypted_ratio\\{.*\\} 0.432"));
  EXPECT_THAT(metrics, testing::ContainsRegex("keyhold_node_reencryption_bytes_per_second\\{.*\\} 1000000"));
  EXPECT_THAT(metrics, testing::ContainsRegex("keyhold_node_reencryption_failed\\{.*\\} 0"));
}

TEST_F(CmekTest, RotationBeforeEnablingIsRefused) {
  const std::string id = Create("n");
  EXPECT_EQ(Send("PUT", Path(id), RegionSpecs(kKey1)).status, 400);
  EXPECT_EQ(Send("PATCH", Path(id), {{"action", "REVOKE"}}).status, 400);
}

TEST_F(CmekTest, AKeyThatTheNodeMayNotUseChangesNothing) {
  const std::string id = Create("d");
  json specs = RegionSpecs(kKey1);
  specs["region_specs"][0]["key_spec"]["auth_principal"] = "arn:aws:iam::111122223333:role/denied";
  const uint64_t generation = agent_->Desired(id).generation;
  const auto answer = Send("POST", Path(id), specs);
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body["details"][0]["reason"], "KMS_DENIED") << answer.text;
  EXPECT_THAT(answer.body["message"].get<std::string>(),
              HasSubstr(R"(kms:Decrypt: add {"Effect": "Allow"})"));
  EXPECT_EQ(Get(Path(id)).body["status"], "DISABLED");
  EXPECT_EQ(agent_->Desired(id).generation, generation);
  EXPECT_EQ(agent_->checks(), 1);
}

TEST_F(CmekTest, AKeyOfAnotherRegionIsRefusedBeforeAnyoneIsAsked) {
  const std::string id = Create("w");
  const auto answer =
      Send("POST", Path(id),
           RegionSpecs("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body["details"][0]["reason"], "KMS_WRONG_KEY");
  EXPECT_THAT(answer.text, HasSubstr("eu-west-1"));
  EXPECT_EQ(agent_->checks(), 0);
}

TEST_F(CmekTest, BadSpecsAreRefusedBeforeAnyoneIsAsked) {
  const std::string id = Create("x");
  const json good = RegionSpecs(kKey1);
  std::vector<json> bad = {json::parse("{}"), json::parse(R"({"region_specs": []})"),
                           json::parse(R"({"region_specs": "x"})"), json::parse(R"({"region_specs": [1]})"),
                           json::parse(R"({"region_specs": [{"region": "us-east-1"}]})")};
  for (const char* uri :
       {"", "x", "arn:aws:s3:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-east-1:111122223333:alias/a", "https://evil.example/keys/x",
        "arn:aws:kms:us-east-1.evil.example:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\n"}) {
    bad.push_back(RegionSpecs(uri));
  }
  bad.push_back(RegionSpecs(kKey1, "NULL_KMS"));
  bad.push_back(RegionSpecs(kKey1, "ROT13"));
  bad.insert(bad.end(), 4, good);
  bad[bad.size() - 1]["region_specs"][0]["region"] = "us-west-2";
  bad[bad.size() - 2]["region_specs"][0]["key_spec"]["secret"] = "x";
  bad[bad.size() - 3]["region_specs"][0]["key_spec"]["uri"] = 7;
  bad[bad.size() - 4]["region_specs"].push_back(good["region_specs"][0]);
  for (const json& body : bad) {
    const auto answer = Send("POST", Path(id), body);
    EXPECT_EQ(answer.status, 400) << body << answer.text;
  }
  EXPECT_EQ(agent_->checks(), 0);
  EXPECT_EQ(Get(Path(id)).body["status"], "DISABLED");
}

TEST_F(CmekTest, EveryCloudHasItsOwnForm) {
  const std::string id = Create("g", "ADVANCED", true, "AZURE", "eastus");
  json specs = RegionSpecs("https://v.vault.azure.net/keys/k", "AZURE_KEY_VAULT");
  specs["region_specs"][0]["region"] = "eastus";
  const auto answer = Send("POST", Path(id), specs);
  EXPECT_EQ(answer.status, 400) << answer.text;
  EXPECT_THAT(answer.text, HasSubstr("no valid vault name"));
}

TEST_F(CmekTest, ANodeThatDoesNotAnswerIs503) {
  StopAll();
  options_.check_timeout = absl::Milliseconds(200);
  StartServer();
  StartAgent();
  const std::string id = Create("q");
  agent_->Deaf(true);
  const auto answer = Send("POST", Path(id), RegionSpecs(kKey1));
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.text, HasSubstr("nothing was changed"));
  EXPECT_EQ(Get(Path(id)).body["status"], "DISABLED");
}

TEST_F(CmekTest, RevokeLocksUntilAPut) {
  const std::string id = Enabled("v");
  agent_->Hold(true);
  const auto answer = Send("PATCH", Path(id), {{"action", "REVOKE"}});
  EXPECT_EQ(answer.body["status"], "REVOKING") << answer.text;
  agent_->Hold(false);
  EXPECT_EQ(AwaitStatus(id, "REVOKED")["region_infos"][0]["key_infos"][0]["status"], "REVOKED");
  const json locked = Get("/api/v1/clusters/" + id).body;
  EXPECT_EQ(locked["state"], "LOCKED");
  EXPECT_EQ(locked["lock"]["cause"], "REVOKED");
  EXPECT_EQ(Send("PATCH", Path(id), {{"action", "REVOKE"}}).status, 200);
  EXPECT_EQ(Send("PUT", Path(id), RegionSpecs(kKey2)).status, 200);
  AwaitStatus(id, "ENABLED");
  EXPECT_FALSE(agent_->Desired(id).revoked);
  EXPECT_EQ(AwaitCluster(id, "state", "CREATED")["cmek_config"]["key_spec"]["uri"], kKey2);
}

TEST_F(CmekTest, ARevokeInTheMiddleOfARotationDoesNotBlockTheWayBack) {
  const std::string id = Enabled("m");
  agent_->Hold(true);
  ASSERT_EQ(Send("PUT", Path(id), RegionSpecs(kKey2)).status, 200);
  ASSERT_EQ(Send("PATCH", Path(id), {{"action", "REVOKE"}}).status, 200);
  const auto back = Send("PUT", Path(id), RegionSpecs(kKey1));
  EXPECT_EQ(back.status, 200) << back.text;
  agent_->Hold(false);
  EXPECT_EQ(AwaitStatus(id, "ENABLED")["region_infos"][0]["key_infos"][0]["spec"]["uri"], kKey1);
}

TEST_F(CmekTest, EachClusterHasItsGraceAndEachNodeIsTold) {
  const std::string one = Enabled("one"), other = Create("other");
  const json before = Get(Path(one)).body["policy"];
  EXPECT_EQ(before, (json{{"unreachable", "serve:15m"}, {"is_default", true}}));
  const uint64_t generation = agent_->Desired(one).generation;
  const auto answer = Send("PUT", Path(one) + "/policy", {{"unreachable", "serve:90s"}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["policy"], (json{{"unreachable", "serve:1m30s"}, {"is_default", false}}));
  EXPECT_EQ(answer.body["status"], "ENABLED");
  EXPECT_EQ(Get("/api/v1/clusters/" + one).body["cmek_config"]["policy"], answer.body["policy"]);
  EXPECT_EQ(agent_->Desired(one).unreachable_grace_ms, 90'000) << "the nodes have it when it returns";
  EXPECT_GT(agent_->Desired(one).generation, generation);
  EXPECT_EQ(agent_->Desired(other).unreachable_grace_ms, 900'000);
  Send("PUT", Path(one) + "/policy", {{"unreachable", "lock"}});
  EXPECT_EQ(agent_->Desired(one).unreachable_grace_ms, 0);
  StopAll();
  StartServer();
  StartAgent();
  EXPECT_EQ(Get(Path(one)).body["policy"]["unreachable"], "lock");
  EXPECT_EQ(Send("PUT", Path(one) + "/policy", {{"unreachable", "default"}}).body["policy"], before);
  EXPECT_EQ(agent_->Desired(one).unreachable_grace_ms, 900'000);
  const json entry = Get("/api/v1/auditlogevents?sort_order=DESC&limit=1").body["entries"][0];
  EXPECT_EQ(entry["action"], "AUDIT_LOG_ACTION_UPDATE_CMEK");
  EXPECT_THAT(entry["payload"].get<std::string>(), HasSubstr("default"));
}

TEST_F(CmekTest, AGraceThatIsNoneChangesNothing) {
  const std::string id = Enabled("g");
  for (const char* text : {"", "serve", "serve:", "serve:0", "serve:-1m", "serve:169h", "serve:500ms",
                           "serve:inf", "15m", "LOCK", "lock "}) {
    EXPECT_EQ(Send("PUT", Path(id) + "/policy", {{"unreachable", text}}).status, 400) << text;
  }
  EXPECT_EQ(Send("PUT", Path(id) + "/policy", {{"unreachable", 15}}).status, 400);
  EXPECT_EQ(Send("PUT", Path(id) + "/policy", {{"unreachable", "lock"}, {"denied", "serve:1h"}}).status, 400);
  EXPECT_EQ(Get(Path(id)).body["policy"]["is_default"], true);
}

TEST_F(CmekTest, NothingDisablesIt) {
  const std::string id = Enabled("z");
  for (const char* action : {"DISABLE", "ENABLE", "", "revoke"}) {
    const auto answer = Send("PATCH", Path(id), {{"action", action}});
    EXPECT_EQ(answer.status, 400);
    EXPECT_THAT(answer.text, HasSubstr("cannot be disabled"));
  }
  EXPECT_EQ(Send("DELETE", Path(id), json::object()).status, 405);
  EXPECT_EQ(Send("PUT", Path(id), RegionSpecs("", "NULL_KMS")).status, 400);
  EXPECT_EQ(Get(Path(id)).body["status"], "ENABLED");
}

TEST_F(CmekTest, ALockedClusterIsToldToRestoreItsKeyFirst) {
  const std::string id = Enabled("k");
  agent_->Report(id, [](wire::NodeStatus& status) {
    status.state = wire::NodeState::kLocked;
    status.lock = wire::Trouble{"KMS_DISABLED", "key K is disabled", ""};
  });
  const auto answer = Send("PUT", Path(id), RegionSpecs(kKey2));
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.text, HasSubstr("key K is disabled"));
}

TEST_F(CmekTest, AFailedEnableMayBeTriedAgain) {
  const std::string id = Create("y");
  agent_->Hold(true);
  ASSERT_EQ(Send("POST", Path(id), RegionSpecs(kKey1)).status, 200);
  agent_->Report(id, [](wire::NodeStatus& status) {
    status.cmek_generation = 1;
    status.cmek_status = "ENABLE_FAILED";
    status.keys = {{{"AWS_KMS", kKey1, ""}, "ENABLE_FAILED", "grant kms:Encrypt", "", ""}};
  });
  const json info = AwaitStatus(id, "ENABLE_FAILED");
  EXPECT_EQ(info["region_infos"][0]["key_infos"][0]["user_message"], "grant kms:Encrypt");
  EXPECT_EQ(Get("/api/v1/clusters/" + id).body["operation_status"], "CRDB_CMEK_OPERATION_FAILED");
  EXPECT_EQ(Send("POST", Path(id), RegionSpecs(kKey1)).status, 200);
  agent_->Hold(false);
  AwaitStatus(id, "ENABLED");
}

TEST_F(CmekTest, OfTwoUpdatesAtOnceOneWins) {
  const std::string id = Enabled("two");
  agent_->Hold(true);
  HttpAnswer answers[2];
  std::thread other([&] { answers[0] = Send("PUT", Path(id), RegionSpecs(kKey1)); });
  answers[1] = Send("PUT", Path(id), RegionSpecs(kKey2));
  other.join();
  const int ok = (answers[0].status == 200) + (answers[1].status == 200);
  const int told = (answers[0].status == 409) + (answers[1].status == 409);
  EXPECT_EQ(ok, 1) << answers[0].text << answers[1].text;
  EXPECT_EQ(told, 1) << answers[0].text << answers[1].text;
}

TEST_F(CmekTest, AnOperationGoesOnAfterARestart) {
  const std::string id = Create("o");
  agent_->Hold(true);
  ASSERT_EQ(Send("POST", Path(id), RegionSpecs(kKey1)).status, 200);
  StopAll();
  StartServer();
  EXPECT_EQ(Get(Path(id)).body["status"], "ENABLING");
  StartAgent();
  AwaitStatus(id, "ENABLED");
}

}  // namespace
}  // namespace keyhold::api
