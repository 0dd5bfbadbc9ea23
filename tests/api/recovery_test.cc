// The recovery key over HTTP: who may name one, what is refused, what nodes are told, and how loud its use
// is.
#include "crypto/rsa.h"
#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class RecoveryTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    StartAgent();
    id_ = Create("vault");
    EXPECT_EQ(Send("POST", Cmek(), RegionSpecs(kKey1)).status, 200);
    Await([&] { return Get(Cmek()).body["status"] == "ENABLED"; }, "ENABLED");
  }
  std::string Cmek() const { return "/api/v1/clusters/" + id_ + "/cmek"; }
  std::string Path() const { return Cmek() + "/recovery"; }
  static json Key(const std::string& pem = kRecoveryPem, int threshold = 3, int shares = 5) {
    return {{"public_key", pem}, {"threshold", threshold}, {"shares", shares}};
  }
  static std::string Id() { return crypto::RsaPublicKey::FromPem(kRecoveryPem)->Fingerprint(); }
  void Await(const std::function<bool()>& is, const std::string& what) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!is()) ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "not " << what;
  }
  json AwaitInForce(bool in_force) {
    Await([&] { return Get(Path()).body["regions"][0]["in_force"] == in_force; }, "in force");
    return Get(Path()).body;
  }
  json Events(const std::string& field) {
    json found = json::array();
    const json events = Get("/api/v1/auditlogevents?limit=100").body["entries"];
    for (const json& event : events) {
      if (event["payload"].get<std::string>().find(field) != std::string::npos) found.push_back(event);
    }
    return found;
  }
  // As a node does that was recovered under kKey2.
  void ReportUse(const std::string& at) {
    agent_->Report(id_, [&](wire::NodeStatus& status) {
      status.recovery->used_at = at;
      status.keys.insert(status.keys.begin(), {{"AWS_KMS", kKey2, ""}, "ENABLED", "", "", "", false, {}});
      status.keys[1].status = "DISABLED";
      status.warning = wire::Trouble{"RECOVERY_USED", "the recovery key was used", at};
    });
  }

  std::string id_;
};

TEST_F(RecoveryTest, IsOffUntilItIsMade) {
  const json none = Get(Path()).body;
  EXPECT_FALSE(none.contains("key"));
  EXPECT_EQ(none["regions"], (json::array({{{"region", "us-east-1"}, {"in_force", false}}})));
  EXPECT_EQ(agent_->Desired(id_).recovery_public_key, "");
}

TEST_F(RecoveryTest, NodesAreToldThePublicKeyAndSayWhenTheyHaveIt) {
  const auto put = Send("PUT", Path(), Key());
  ASSERT_EQ(put.status, 200) << put.text;
  EXPECT_EQ(put.body["key"]["id"], Id());
  EXPECT_EQ(put.body["key"]["threshold"], 3);
  EXPECT_EQ(put.body["key"]["shares"], 5);
  const json now = AwaitInForce(true);
  EXPECT_EQ(now["regions"][0]["sealed_to"], Id());
  EXPECT_FALSE(now["regions"][0].contains("used_at"));
  EXPECT_EQ(agent_->Desired(id_).recovery_public_key, kRecoveryPem);
  EXPECT_EQ(Get(Cmek()).body["recovery"], now);
  EXPECT_EQ(Get("/api/v1/clusters/" + id_).body["cmek_config"]["recovery"], now);
  EXPECT_EQ(Get(Cmek()).body["status"], "ENABLED");
  StopAll();
  StartServer();
  EXPECT_EQ(Get(Path()).body, now) << "over a restart of the server";
}

TEST_F(RecoveryTest, DeletingItTakesItFromTheNodes) {
  Send("PUT", Path(), Key());
  AwaitInForce(true);
  const auto answer = Call(port(), key_, "DELETE", Path());
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_FALSE(answer.body.contains("key"));
  Await([&] { return !Get(Path()).body["regions"][0].contains("sealed_to"); }, "unsealed");
  EXPECT_EQ(agent_->Desired(id_).recovery_public_key, "");
  EXPECT_EQ(Call(port(), key_, "DELETE", Path()).status, 200) << "again";
}

TEST_F(RecoveryTest, ALockedNodeDoesNotHaveItYet) {
  agent_->Hold(true);
  Send("PUT", Path(), Key());
  EXPECT_EQ(Get(Path()).body["regions"][0]["in_force"], false);
  agent_->Hold(false);
  AwaitInForce(true);
}

TEST_F(RecoveryTest, WrongInputChangesNothing) {
  const std::string pem = kRecoveryPem;
  for (const json& body :
       {Key("x"), Key(""), Key(pem.substr(0, pem.size() / 2)), Key(std::string(5000, 'A')), Key(pem, 1, 3),
        Key(pem, 4, 3), Key(pem, 2, 256), Key(pem, 0, 0), Key(pem, -1, 3), json{{"public_key", pem}},
        json{{"threshold", 2}, {"shares", 3}}, json{{"public_key", 3}, {"threshold", 2}, {"shares", 3}},
        json{{"public_key", pem}, {"threshold", "2"}, {"shares", 3}},
        json{{"public_key", pem}, {"threshold", 2}, {"shares", 3}, {"private_key", "x"}}}) {
    EXPECT_EQ(Send("PUT", Path(), body).status, 400) << body;
  }
  EXPECT_THAT(Send("PUT", Path(), Key("x")).text, HasSubstr("public_key: not an RSA public key"));
  EXPECT_THAT(Send("PUT", Path(), Key(pem, 4, 3)).text, HasSubstr("not 4 of 3"));
  EXPECT_FALSE(Get(Path()).body.contains("key"));
  EXPECT_EQ(Send("PUT", "/api/v1/clusters/00000000-0000-4000-8000-000000000000/cmek/recovery", Key()).status,
            404);
}

TEST_F(RecoveryTest, WithoutTheAddOnItIsToldHowToGetIt) {
  id_ = Create("plain", "ADVANCED", false);
  EXPECT_THAT(Send("PUT", Path(), Key()).text, HasSubstr("--advanced-security-add-on"));
}

TEST_F(RecoveryTest, ChangesAreInTheAuditLogWithoutTheKey) {
  Send("PUT", Path(), Key());
  Call(port(), key_, "DELETE", Path());
  const json events = Events("\"recovery\"");
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0]["action"], "AUDIT_LOG_ACTION_UPDATE_CMEK");
  EXPECT_EQ(events[0]["payload"], R"({"recovery":{"shares":5,"threshold":3}})");
  EXPECT_EQ(events[1]["payload"], R"({"recovery":null})");
}

TEST_F(RecoveryTest, ItsUseIsLoud) {
  Send("PUT", Path(), Key());
  AwaitInForce(true);
  EXPECT_THAT(Call(port(), "", "GET", "/metrics").text,
              testing::ContainsRegex("keyhold_node_recovery_used\\{.*\\} 0"));
  ReportUse("2026-03-01T10:00:00.000Z");
  const json events = Events("recovery_used");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0]["source"], "AUDIT_LOG_SOURCE_INTERNAL");
  EXPECT_EQ(events[0]["cluster_name"], "vault");
  const json used = json::parse(events[0]["payload"].get<std::string>())["recovery_used"];
  EXPECT_EQ(used["at"], "2026-03-01T10:00:00.000Z");
  EXPECT_EQ(used["key_uri"], kKey2);
  EXPECT_EQ(used["recovery_key_id"], Id());
  EXPECT_EQ(Get(Path()).body["regions"][0]["used_at"], "2026-03-01T10:00:00.000Z");
  EXPECT_EQ(Get("/api/v1/clusters/" + id_).body["warning"]["cause"], "RECOVERY_USED");
  EXPECT_THAT(Call(port(), "", "GET", "/metrics").text,
              testing::ContainsRegex("keyhold_node_recovery_used\\{.*\\} 1"));
  agent_->Report(id_, [](wire::NodeStatus&) {});
  EXPECT_EQ(Events("recovery_used").size(), 1U) << "told once";
  ReportUse("2026-03-02T10:00:00.000Z");
  EXPECT_EQ(Events("recovery_used").size(), 2U);
}

TEST_F(RecoveryTest, ARestoredStoreThatWasAcceptedIsInTheAuditLog) {
  EXPECT_EQ(Events("restored_store_accepted").size(), 0U);
  for (int times = 0; times < 2; ++times) {
    agent_->Report(id_, [](wire::NodeStatus& status) { status.accepted_at = "2026-03-01T10:00:00.000Z"; });
  }
  const json events = Events("restored_store_accepted");
  ASSERT_EQ(events.size(), 1U) << "told once";
  EXPECT_EQ(events[0]["action"], "AUDIT_LOG_ACTION_RESTORE_CLUSTER");
  EXPECT_EQ(events[0]["source"], "AUDIT_LOG_SOURCE_INTERNAL");
  EXPECT_EQ(events[0]["cluster_name"], "vault");
  const json accepted = json::parse(events[0]["payload"].get<std::string>())["restored_store_accepted"];
  EXPECT_EQ(accepted["at"], "2026-03-01T10:00:00.000Z");
  EXPECT_EQ(accepted["region"], "us-east-1");
  agent_->Report(id_, [](wire::NodeStatus& status) { status.accepted_at = "2026-03-02T10:00:00.000Z"; });
  EXPECT_EQ(Events("restored_store_accepted").size(), 2U);
}

// The key that the store was recovered under is the one that the server wants from then on.
TEST_F(RecoveryTest, TheKeyOfTheRecoveryIsTheRegionsKey) {
  Send("PUT", Path(), Key());
  AwaitInForce(true);
  EXPECT_EQ(agent_->Desired(id_).cmek->key_spec.uri, kKey1);
  const uint64_t generation = agent_->Desired(id_).cmek->generation;
  ReportUse("2026-03-01T10:00:00.000Z");
  Await([&] { return agent_->Desired(id_).cmek->key_spec.uri == kKey2; }, "the new key");
  EXPECT_EQ(agent_->Desired(id_).cmek->generation, generation) << "nothing is to be done about it";
  EXPECT_EQ(Get(Cmek()).body["status"], "ENABLED");
}

}  // namespace
}  // namespace keyhold::api
