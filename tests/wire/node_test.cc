#include "wire/node.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace keyhold::wire {
namespace {

using nlohmann::json;

TEST(Wire, DesiredNodeSurvivesTheRoundTrip) {
  DesiredNode node;
  node.generation = 7;
  node.cluster_id = "c";
  node.cmek = DesiredCmek{3, {"AWS_KMS", "arn:x", "p"}};
  node.revoked = true;
  node.allowlist = {"10.0.0.0/8", "::/0"};
  node.sql_users = {{"maya", "SCRAM-SHA-256$4096:x"}};
  const auto back = DesiredNodeFromJson(json::parse(ToJson(node).dump()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), ToJson(node));
  EXPECT_EQ(back->cmek->key_spec, node.cmek->key_spec);
  EXPECT_EQ(back->sql_users, node.sql_users);
}

TEST(Wire, StatusSurvivesTheRoundTrip) {
  NodeStatus status;
  status.version = 2;
  status.state = NodeState::kLocked;
  status.lock = Trouble{"KMS_DISABLED", "the key is disabled", "2026-01-01T00:00:00Z"};
  const Evidence evidence{"t1", "t3", 600, 9, 5, 3, 1};
  status.keys = {
      {{"AWS_KMS", "arn:x", ""}, "ENABLED", "", "t1", "t2", false, {}},
      {{"AWS_KMS", "arn:y", ""}, "DISABLED", "", "t1", "t2", true, evidence, KeyVersion{"3", true}}};
  status.reencryption = Reencryption{"DONE", 100, 600, 600, 1e6, 0, "t1", "", evidence};
  const auto back = NodeStatusFromJson(json::parse(ToJson(status).dump()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), ToJson(status));
  EXPECT_EQ(back->lock, status.lock);
  EXPECT_EQ(back->reencryption, status.reencryption);
  EXPECT_EQ(back->keys[1].evidence, evidence);
  EXPECT_EQ(back->keys[1].version, (KeyVersion{"3", true}));
  EXPECT_FALSE(back->keys[0].evidence.has_value());
  EXPECT_FALSE(back->keys[0].version.has_value());
  EXPECT_FALSE(back->warning.has_value());
}

TEST(Wire, MissingFieldsKeepDefaultsAndUnknownOnesAreIgnored) {
  const auto node = DesiredNodeFromJson(json::parse(R"({"generation": 1, "later": [1, 2]})"));
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->generation, 1U);
  EXPECT_EQ(node->probe_interval_ms, 2000);
  EXPECT_FALSE(node->cmek.has_value());
}

TEST(Wire, WrongTypesAreRefused) {
  for (const char* bad :
       {R"([])", R"("x")", R"({"generation": "one"})", R"({"cmek": 3})", R"({"cmek": {"key_spec": []}})",
        R"({"sql_users": {}})", R"({"sql_users": ["x"]})"}) {
    EXPECT_EQ(CauseOf(DesiredNodeFromJson(json::parse(bad)).status()), Cause::kInvalidArgument) << bad;
  }
  EXPECT_EQ(CauseOf(NodeStatusFromJson(json::parse(R"({"state": "DANCING"})")).status()),
            Cause::kInvalidArgument);
}

}  // namespace
}  // namespace keyhold::wire
