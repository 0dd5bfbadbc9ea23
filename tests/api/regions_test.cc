// Clusters of several regions: each with its node, its key and its state.
#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kEuKey[] = "arn:aws:kms:eu-west-1:111122223333:key/3234abcd-12ab-34cd-56ef-1234567890ab";
constexpr char kEuKey2[] = "arn:aws:kms:eu-west-1:111122223333:key/4234abcd-12ab-34cd-56ef-1234567890ab";

json Spec(const std::string& region, const std::string& uri, const std::string& principal = "") {
  return {{"region", region},
          {"key_spec", {{"type", "AWS_KMS"}, {"uri", uri}, {"auth_principal", principal}}}};
}
json Specs(const std::vector<json>& specs) { return {{"region_specs", specs}}; }

class RegionsTest : public ApiTest {
 protected:
  void SetUp() override {
    StartServer();
    StartAgent();
    const auto made = Send("POST", "/api/v1/clusters",
                           {{"name", "two"},
                            {"provider", "AWS"},
                            {"spec",
                             {{"advanced_security_add_on", true},
                              {"dedicated", {{"region_nodes", {{"eu-west-1", 1}, {"us-east-1", 1}}}}}}}});
    ASSERT_EQ(made.status, 200) << made.text;
    id_ = made.body["id"];
    path_ = "/api/v1/clusters/" + id_;
    AwaitCluster(id_, "state", "CREATED");
  }

  // {region: status} once the cluster's own is `status`.
  std::map<std::string, std::string> AwaitCmek(const std::string& status) {
    AwaitCluster(id_, "operation_status", "UNSPECIFIED");
    const json info = Get(path_ + "/cmek").body;
    EXPECT_EQ(info["status"], status) << info.dump();
    std::map<std::string, std::string> regions;
    for (const json& region : info["region_infos"]) regions[region["region"]] = region["status"];
    return regions;
  }
  void Enable() {
    const auto enabled =
        Send("POST", path_ + "/cmek", Specs({Spec("us-east-1", kKey1), Spec("eu-west-1", kEuKey)}));
    ASSERT_EQ(enabled.status, 200) << enabled.text;
    AwaitCmek("ENABLED");
  }
  // The newest key's URI in a region.
  std::string KeyOf(const std::string& region) {
    const json cmek = Get(path_ + "/cmek").body;
    for (const json& info : cmek["region_infos"]) {
      if (info["region"] == region) return info["key_infos"][0]["spec"]["uri"];
    }
    return "";
  }
  void Lock(const std::string& region) {
    agent_->Report(
        id_,
        [](wire::NodeStatus& status) {
          status.state = wire::NodeState::kLocked;
          status.lock = wire::Trouble{"KMS_DISABLED", "the key is disabled", "2026-01-01T00:00:00Z"};
        },
        region);
  }

  std::string id_, path_;
};

TEST_F(RegionsTest, EachRegionHasItsNodeAndItsAddress) {
  const json cluster = Get(path_).body;
  ASSERT_EQ(cluster["regions"].size(), 2U);
  EXPECT_EQ(cluster["regions"][0]["name"], "eu-west-1");
  EXPECT_EQ(cluster["regions"][0]["primary"], true);
  EXPECT_EQ(cluster["regions"][0]["sql_port"], "26258");
  EXPECT_EQ(cluster["regions"][1]["node_count"], 1);
  EXPECT_EQ(Get(path_ + "/nodes").body["nodes"].size(), 2U);
  EXPECT_EQ(Get(path_ + "/nodes?region_name=us-east-1").body["nodes"][0]["region_name"], "us-east-1");
  EXPECT_EQ(Get(path_ + "/connection-string").body["params"]["Port"], "26258");
  EXPECT_EQ(Get(path_ + "/connection-string?region=us-east-1").body["params"]["Port"], "26257");
  EXPECT_EQ(Get(path_ + "/connection-string?region=us-west-1").status, 404);
}

TEST_F(RegionsTest, UsersReachEveryRegion) {
  ASSERT_EQ(Send("POST", path_ + "/sql-users", {{"name", "maya"}, {"password", "correct horse"}}).status,
            200);
  for (const char* region : {"us-east-1", "eu-west-1"}) {
    ASSERT_EQ(agent_->Desired(id_, region).sql_users.size(), 1U) << region;
  }
}

TEST_F(RegionsTest, EnableNeedsAKeyForEveryRegion) {
  EXPECT_THAT(Send("POST", path_ + "/cmek", Specs({Spec("us-east-1", kKey1)})).text, HasSubstr("eu-west-1"));
  EXPECT_EQ(Send("POST", path_ + "/cmek", Specs({Spec("", kKey1), Spec("eu-west-1", kEuKey)})).status, 400);
  EXPECT_EQ(Send("POST", path_ + "/cmek", Specs({Spec("us-east-1", kKey1), Spec("us-east-1", kKey1)})).status,
            400);
  EXPECT_EQ(
      Send("POST", path_ + "/cmek", Specs({Spec("us-east-1", kEuKey), Spec("eu-west-1", kEuKey)})).status,
      400);
  const auto denied = Send(
      "POST", path_ + "/cmek",
      Specs({Spec("us-east-1", kKey1), Spec("eu-west-1", kEuKey, "arn:aws:iam::111122223333:role/denied")}));
  EXPECT_EQ(denied.status, 400);
  EXPECT_THAT(denied.text, HasSubstr("nothing was changed"));
  EXPECT_EQ(Get(path_ + "/cmek").body["status"], "DISABLED");
  Enable();
  EXPECT_EQ(agent_->Desired(id_, "us-east-1").cmek->key_spec.uri, kKey1);
  EXPECT_EQ(agent_->Desired(id_, "eu-west-1").cmek->key_spec.uri, kEuKey);
}

TEST_F(RegionsTest, RotateMayNameSome) {
  Enable();
  agent_->Hold(true);
  const json rotating = Send("PUT", path_ + "/cmek", Specs({Spec("eu-west-1", kEuKey2)})).body;
  EXPECT_EQ(rotating["status"], "ROTATING");
  EXPECT_EQ(rotating["region_infos"][0]["status"], "ROTATING");
  EXPECT_EQ(rotating["region_infos"][1]["status"], "ENABLED") << "the other region goes on as it is";
  agent_->Hold(false);
  AwaitCmek("ENABLED");
  EXPECT_EQ(KeyOf("eu-west-1"), kEuKey2);
  EXPECT_EQ(KeyOf("us-east-1"), kKey1);
  EXPECT_EQ(agent_->Desired(id_, "us-east-1").cmek->generation, 1U);
}

TEST_F(RegionsTest, ALostKeyLocksItsRegionAlone) {
  Enable();
  Lock("eu-west-1");
  const json cluster = Get(path_).body;
  EXPECT_EQ(cluster["state"], "CREATED");
  EXPECT_FALSE(cluster.contains("lock"));
  EXPECT_EQ(cluster["regions"][0]["lock"]["cause"], "KMS_DISABLED");
  EXPECT_FALSE(cluster["regions"][1].contains("lock"));
  EXPECT_EQ(Send("PUT", path_ + "/cmek", Specs({Spec("us-east-1", kKey2)})).status, 200);
  AwaitCmek("ENABLED");
  const auto refused = Send("PUT", path_ + "/cmek", Specs({Spec("eu-west-1", kEuKey2)}));
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.text, HasSubstr("LOCKED in eu-west-1"));
  Lock("us-east-1");
  const json locked = Get(path_).body;
  EXPECT_EQ(locked["state"], "LOCKED");
  EXPECT_EQ(locked["lock"]["cause"], "KMS_DISABLED");
}

TEST_F(RegionsTest, ADestroyedKeyIsNamedInItsRegionAlone) {
  Enable();
  agent_->Report(
      id_,
      [](wire::NodeStatus& status) {
        status.state = wire::NodeState::kLocked;
        status.lock = wire::Trouble{"KMS_KEY_NOT_FOUND", "the key was destroyed", "2026-01-01T00:00:00Z"};
      },
      "us-east-1");
  const json cluster = Get(path_).body;
  EXPECT_EQ(cluster["regions"][1]["lock"]["message"], "the key was destroyed");
  EXPECT_FALSE(cluster["regions"][0].contains("lock"));
  EXPECT_EQ(Send("PUT", path_ + "/cmek", Specs({Spec("eu-west-1", kEuKey2)})).status, 200);
}

TEST_F(RegionsTest, ACheckTriesEachKeyOnItsOwnRegionsNode) {
  const auto checked = Send(
      "POST", path_ + "/cmek/check",
      Specs({Spec("eu-west-1", kEuKey, "arn:aws:iam::111122223333:role/denied"), Spec("us-east-1", kKey1)}));
  ASSERT_EQ(checked.status, 200) << checked.text;
  EXPECT_EQ(checked.body["usable"], false);
  EXPECT_EQ(checked.body["regions"][0]["region"], "eu-west-1");
  EXPECT_EQ(checked.body["regions"][0]["usable"], false);
  EXPECT_EQ(checked.body["regions"][1]["usable"], true);
  EXPECT_EQ(agent_->checks(), 2);
  const auto swapped = Send("POST", path_ + "/cmek/check", Specs({Spec("eu-west-1", kKey1)}));
  EXPECT_EQ(swapped.body["usable"], false) << swapped.text;
  EXPECT_EQ(agent_->checks(), 2) << "a key of another region is not tried";
  EXPECT_EQ(Get(path_ + "/cmek").body["status"], "DISABLED");
}

TEST_F(RegionsTest, EachNodeIsHeldToItsOwnPast) {
  agent_->Report(
      id_,
      [](wire::NodeStatus& status) {
        status.key_ring_epoch = 7;
        status.store_generation = 90;
      },
      "eu-west-1");
  Enable();
  EXPECT_EQ(agent_->Desired(id_, "eu-west-1").min_key_ring_epoch, 7U);
  EXPECT_EQ(agent_->Desired(id_, "eu-west-1").min_store_generation, 90U);
  EXPECT_EQ(agent_->Desired(id_, "us-east-1").min_key_ring_epoch, 0U);
  EXPECT_EQ(agent_->Desired(id_, "us-east-1").min_store_generation, 0U);
}

TEST_F(RegionsTest, ARevokedClusterComesBackWithAKeyForEveryRegion) {
  Enable();
  ASSERT_EQ(Send("PATCH", path_ + "/cmek", {{"action", "REVOKE"}}).status, 200);
  AwaitCluster(id_, "state", "LOCKED");
  const auto some = Send("PUT", path_ + "/cmek", Specs({Spec("us-east-1", kKey2)}));
  EXPECT_EQ(some.status, 400);
  EXPECT_THAT(some.text, HasSubstr("a key for every region"));
  EXPECT_EQ(
      Send("PUT", path_ + "/cmek", Specs({Spec("us-east-1", kKey2), Spec("eu-west-1", kEuKey2)})).status,
      200);
  AwaitCluster(id_, "state", "CREATED");
  EXPECT_EQ(KeyOf("us-east-1"), kKey2);
}

TEST_F(RegionsTest, ANewRegionNeedsItsKeyInTheSameCall) {
  Enable();
  const auto grow = [&](const json& nodes, const std::vector<json>& specs) {
    json dedicated = {{"region_nodes", nodes}};
    if (!specs.empty()) dedicated["cmek_region_specs"] = specs;
    return Send("PATCH", path_, {{"dedicated", dedicated}});
  };
  const std::string west = "arn:aws:kms:us-west-2:111122223333:key/5234abcd-12ab-34cd-56ef-1234567890ab";
  const json three = {{"eu-west-1", 1}, {"us-east-1", 1}, {"us-west-2", 1}};
  EXPECT_THAT(grow(three, {}).text, HasSubstr("needs its key"));
  EXPECT_EQ(grow(three, {Spec("us-west-2", west), Spec("us-east-1", kKey2)}).status, 400);
  EXPECT_EQ(grow(three, {Spec("us-west-2", kKey2)}).status, 400) << "a key of another region";
  EXPECT_EQ(grow(three, {Spec("us-west-2", west, "arn:aws:iam::111122223333:role/denied")}).status, 400);
  EXPECT_EQ(grow({{"us-east-1", 1}}, {}).status, 501) << "no region goes away";
  EXPECT_EQ(grow({{"eu-west-1", 1}, {"us-east-1", 1}}, {Spec("us-east-1", kKey2)}).status, 400);
  EXPECT_EQ(Get(path_).body["regions"].size(), 2U);
  agent_->Hold(true);
  const auto growing = grow(three, {Spec("us-west-2", west)});
  ASSERT_EQ(growing.status, 200) << growing.text;
  EXPECT_EQ(agent_->checked_region(), "us-west-2");
  EXPECT_EQ(growing.body["operation_status"], "CRDB_CMEK_OPERATION_RUNNING");
  EXPECT_EQ(growing.body["cmek_config"]["region_infos"][2]["status"], "ENABLING");
  agent_->Hold(false);
  AwaitCmek("ENABLED");
  EXPECT_EQ(KeyOf("us-west-2"), west);
  EXPECT_EQ(grow(three, {}).status, 200) << "the same again changes nothing";
  EXPECT_EQ(Get(path_ + "/nodes").body["nodes"].size(), 3U);
}

TEST_F(RegionsTest, WithoutCmekARegionNeedsNone) {
  const json three = {{"eu-west-1", 1}, {"us-east-1", 1}, {"us-west-2", 1}};
  EXPECT_EQ(
      Send("PATCH", path_,
           {{"dedicated", {{"region_nodes", three}, {"cmek_region_specs", {Spec("us-west-2", kKey1)}}}}})
          .status,
      400);
  const auto grown = Send("PATCH", path_, {{"dedicated", {{"region_nodes", three}}}});
  ASSERT_EQ(grown.status, 200) << grown.text;
  AwaitCluster(id_, "operation_status", "UNSPECIFIED");
  EXPECT_EQ(Get(path_).body["regions"][2]["node_count"], 1);
}

TEST_F(RegionsTest, DeletingTakesEveryRegion) {
  EXPECT_EQ(Send("DELETE", path_, nullptr).status, 200);
  AwaitCluster(id_, "state", "DELETED");
  EXPECT_EQ(Get(path_ + "/nodes").body["nodes"].size(), 0U);
}

}  // namespace
}  // namespace keyhold::api
