// What the Cloud API says of a cluster: every step of the CMEK status machine, from desired state and reports
// alone.
#include "control/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyhold::control {
namespace {

using wire::KeySpec;
using wire::NodeState;

const KeySpec kKeyA{"AWS_KMS", "arn:a", ""};
const KeySpec kKeyB{"AWS_KMS", "arn:b", ""};

// A cluster of `regions`, each with one node that serves.
ClusterView Serving(const std::vector<std::string>& regions = {"us-east-1"}) {
  ClusterView view;
  view.cluster.id = "c";
  view.cluster.name = "maya";
  view.cluster.cloud = "AWS";
  view.cluster.lifecycle = Lifecycle::kCreated;
  for (const std::string& name : regions) {
    view.regions.push_back({"c", name, static_cast<int64_t>(view.regions.size())});
    Node node;
    node.id = "node-" + name;
    node.cluster_id = "c";
    node.region = name;
    node.reported = true;
    node.status.state = NodeState::kServing;
    view.nodes.push_back(node);
  }
  return view;
}

void Ask(ClusterView& view, size_t region, CmekKind kind, const KeySpec& spec) {
  ++view.regions[region].cmek_generation;
  view.regions[region].cmek_kind = kind;
  view.regions[region].cmek_spec = spec;
}

void CarryOut(ClusterView& view, size_t node, const std::string& status, const KeySpec& spec) {
  wire::NodeStatus& out = view.nodes[node].status;
  out.cmek_generation = view.regions[node].cmek_generation;
  out.cmek_status = status;
  for (auto& key : out.keys) key.status = "DISABLED";
  out.keys.insert(out.keys.begin(), {spec, status, "", "", "", false, {}});
}

ClusterView Enabled() {
  ClusterView view = Serving();
  Ask(view, 0, CmekKind::kEnable, kKeyA);
  CarryOut(view, 0, "ENABLED", kKeyA);
  return view;
}

TEST(CmekState, IsDisabledBeforeTheFirstEnable) {
  const ClusterView view = Serving();
  EXPECT_EQ(CmekOf(view).status, "DISABLED");
  EXPECT_TRUE(CmekOf(view).regions.at(0).keys.empty());
  EXPECT_FALSE(CmekRunning(view));
  EXPECT_FALSE(CmekInForce(view));
}

TEST(CmekState, IsEnablingUntilTheNodeHasDoneIt) {
  ClusterView view = Serving();
  Ask(view, 0, CmekKind::kEnable, kKeyA);
  EXPECT_EQ(CmekOf(view).status, "ENABLING");
  EXPECT_EQ(CmekOf(view).regions[0].keys.at(0).spec, kKeyA);
  EXPECT_TRUE(CmekRunning(view));
  EXPECT_TRUE(CmekInForce(view));
  EXPECT_EQ(OperationStatusOf(view), "CRDB_CMEK_OPERATION_RUNNING");
  CarryOut(view, 0, "ENABLED", kKeyA);
  EXPECT_EQ(CmekOf(view).status, "ENABLED");
  EXPECT_EQ(OperationStatusOf(view), "UNSPECIFIED");
}

// Two nodes of a region: a key is free when both say so, and the region is as far as the slower.
TEST(CmekState, AKeyIsFreeWhenNoNodeOfTheRegionNeedsIt) {
  ClusterView view = Enabled();
  Ask(view, 0, CmekKind::kRotate, kKeyB);
  CarryOut(view, 0, "ENABLED", kKeyB);
  wire::NodeStatus& status = view.nodes[0].status;
  status.keys[1].may_be_destroyed = true;
  status.reencryption = wire::Reencryption{"DONE", 100, 9, 9, 0, 0, "", "", {}};
  EXPECT_TRUE(CmekOf(view).regions[0].keys[1].may_be_destroyed);
  view.nodes.push_back(view.nodes[0]);
  view.nodes[1].status.keys[1].may_be_destroyed = false;
  view.nodes[1].status.reencryption->percent = 40;
  EXPECT_FALSE(CmekOf(view).regions[0].keys[1].may_be_destroyed);
  EXPECT_EQ(CmekOf(view).regions[0].reencryption->percent, 40);
}

// The same of a version of a key, which is free while others of its key are not.
TEST(CmekState, AVersionIsFreeWhenNoNodeOfTheRegionNeedsIt) {
  ClusterView view = Enabled();
  CarryOut(view, 0, "ENABLED", kKeyA);
  std::vector<wire::KeyInfo>& keys = view.nodes[0].status.keys;
  keys[0].version = {"2", false};
  keys[1].version = {"1", true};
  const auto is_free = [&] { return CmekOf(view).regions[0].keys[1].version->may_be_destroyed; };
  EXPECT_TRUE(is_free());
  view.nodes.push_back(view.nodes[0]);
  std::vector<wire::KeyInfo>& others = view.nodes[1].status.keys;
  EXPECT_TRUE(is_free());
  others[1].version->may_be_destroyed = false;
  EXPECT_FALSE(is_free());
  others[1].version.reset();
  EXPECT_FALSE(is_free()) << "it may be any, and nothing proves that its time is over";
  others[1].evidence = wire::Evidence{};
  EXPECT_TRUE(is_free());
  others[0].version.reset();
  EXPECT_FALSE(is_free()) << "any may wrap that node's store key";
}

TEST(CmekState, AFailedEnableIsNotInForce) {
  ClusterView view = Serving();
  Ask(view, 0, CmekKind::kEnable, kKeyA);
  CarryOut(view, 0, "ENABLE_FAILED", kKeyA);
  EXPECT_EQ(CmekOf(view).status, "ENABLE_FAILED");
  EXPECT_FALSE(CmekInForce(view));
  EXPECT_EQ(OperationStatusOf(view), "CRDB_CMEK_OPERATION_FAILED");
}

TEST(CmekState, AFailedRotationIsStillInForce) {
  ClusterView view = Enabled();
  Ask(view, 0, CmekKind::kRotate, kKeyB);
  EXPECT_EQ(CmekOf(view).status, "ROTATING");
  CarryOut(view, 0, "ROTATE_FAILED", kKeyB);
  EXPECT_EQ(CmekOf(view).status, "ROTATE_FAILED");
  EXPECT_TRUE(CmekInForce(view));
}

TEST(CmekState, ANewVersionOfTheSameKeyIsANewKeyInfo) {
  ClusterView view = Enabled();
  Ask(view, 0, CmekKind::kRotate, kKeyA);
  const auto keys = CmekOf(view).regions[0].keys;
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].status, "ENABLING");
  EXPECT_EQ(keys[1].status, "DISABLING");
}

TEST(CmekState, AKeyThatTheNodeAlreadySpeaksOfIsNotToldTwice) {
  ClusterView view = Enabled();
  Ask(view, 0, CmekKind::kRotate, kKeyB);
  view.nodes[0].status.keys.insert(view.nodes[0].status.keys.begin(),
                                   {kKeyB, "ENABLING", "", "", "", false, {}});
  EXPECT_EQ(CmekOf(view).regions[0].keys.size(), 2U);
}

TEST(CmekState, RevokingEndsWhenTheNodeIsLockedByIt) {
  ClusterView view = Enabled();
  view.cluster.revoked = true;
  EXPECT_EQ(CmekOf(view).status, "REVOKING");
  EXPECT_EQ(StateOf(view), "LOCKED");
  view.nodes[0].status.state = NodeState::kLocked;
  view.nodes[0].status.lock = wire::Trouble{"KMS_DISABLED", "", ""};
  EXPECT_EQ(CmekOf(view).status, "REVOKING") << "locked for another cause, which may go away";
  view.nodes[0].status.lock = wire::Trouble{"REVOKED", "", ""};
  EXPECT_EQ(CmekOf(view).status, "REVOKED");
  EXPECT_EQ(CmekOf(view).regions[0].keys[0].status, "REVOKED");
  EXPECT_EQ(LockOf(view)->cause, "REVOKED");
}

TEST(CmekState, AClusterIsWhatItsWorstRegionIs) {
  ClusterView view = Serving({"us-east-1", "us-west-2"});
  Ask(view, 0, CmekKind::kEnable, kKeyA);
  Ask(view, 1, CmekKind::kEnable, kKeyB);
  CarryOut(view, 0, "ENABLED", kKeyA);
  EXPECT_EQ(CmekOf(view).status, "ENABLING");
  CarryOut(view, 1, "ENABLE_FAILED", kKeyB);
  EXPECT_EQ(CmekOf(view).status, "ENABLE_FAILED");
  EXPECT_EQ(CmekOf(view).regions[0].status, "ENABLED");
}

TEST(CmekState, ANodeThatNeverReportedHasDoneNothing) {
  ClusterView view = Serving();
  view.nodes[0].reported = false;
  Ask(view, 0, CmekKind::kEnable, kKeyA);
  CarryOut(view, 0, "ENABLED", kKeyA);
  EXPECT_EQ(CmekOf(view).status, "ENABLING");
}

struct StateRow {
  Lifecycle lifecycle;
  NodeState node;
  const char* state;
  const char* cause;  // of the lock
};

class StateTable : public testing::TestWithParam<StateRow> {};

TEST_P(StateTable, FollowsFromLifecycleAndNode) {
  ClusterView view = Serving();
  view.cluster.lifecycle = GetParam().lifecycle;
  view.nodes[0].status.state = GetParam().node;
  if (GetParam().node == NodeState::kLocked) {
    view.nodes[0].status.lock = wire::Trouble{"KMS_DENIED", "denied", "t"};
  }
  EXPECT_EQ(StateOf(view), GetParam().state);
  const auto lock = LockOf(view);
  EXPECT_EQ(lock ? lock->cause : "", GetParam().cause);
}

const StateRow kStates[] = {
    {Lifecycle::kCreating, NodeState::kStarting, "CREATING", ""},
    {Lifecycle::kCreating, NodeState::kLocked, "CREATING", ""},
    {Lifecycle::kCreationFailed, NodeState::kFailed, "CREATION_FAILED", ""},
    {Lifecycle::kCreated, NodeState::kStarting, "CREATED", ""},
    {Lifecycle::kCreated, NodeState::kServing, "CREATED", ""},
    {Lifecycle::kCreated, NodeState::kStopping, "CREATED", ""},
    {Lifecycle::kCreated, NodeState::kStopped, "CREATED", ""},
    {Lifecycle::kCreated, NodeState::kLocking, "LOCKED", "INTERNAL"},
    {Lifecycle::kCreated, NodeState::kLocked, "LOCKED", "KMS_DENIED"},
    {Lifecycle::kCreated, NodeState::kFailed, "LOCKED", "NODE_FAILED"},
    {Lifecycle::kDeleting, NodeState::kServing, "LOCKED", "DELETING"},
    {Lifecycle::kDeleted, NodeState::kServing, "DELETED", ""},
};
INSTANTIATE_TEST_SUITE_P(All, StateTable, testing::ValuesIn(kStates));

TEST(Desired, HasWhatANodeNeeds) {
  ClusterView view = Serving();
  view.nodes[0].generation = 7;
  Ask(view, 0, CmekKind::kEnable, kKeyA);
  view.cluster.revoked = true;
  const auto desired = DesiredOf(view, view.nodes[0], {{"c", "maya", "SCRAM"}},
                                 {{"c", "10.0.0.0", 8}, {"c", "::1", 128, "off", false}});
  EXPECT_EQ(desired.generation, 7U);
  EXPECT_EQ(desired.node_id, "node-us-east-1");
  EXPECT_EQ(desired.cluster_name, "maya");
  EXPECT_EQ(desired.cmek->generation, 1U);
  EXPECT_EQ(desired.cmek->key_spec, kKeyA);
  EXPECT_TRUE(desired.revoked);
  EXPECT_THAT(desired.allowlist, testing::ElementsAre("10.0.0.0/8"));
  EXPECT_EQ(desired.sql_users.at(0).name, "maya");
  EXPECT_EQ(desired.sql_listen, "");
}

TEST(Warnings, ComeFromANodeThatServesOn) {
  ClusterView view = Serving();
  EXPECT_FALSE(WarningOf(view).has_value());
  view.nodes[0].status.warning = wire::Trouble{"KMS_UNREACHABLE", "m", "s"};
  view.nodes[0].status.locks_at = "t";
  EXPECT_EQ(WarningOf(view)->trouble.cause, "KMS_UNREACHABLE");
  EXPECT_EQ(WarningOf(view)->locks_at, "t");
  EXPECT_EQ(StateOf(view), "CREATED");
}

TEST(Times, AreRfc3339InUtc) {
  EXPECT_EQ(Rfc3339(absl::FromUnixMicros(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(Rfc3339(absl::FromUnixMicros(1'700'000'000'120'000)), "2023-11-14T22:13:20.12Z");
  EXPECT_EQ(Rfc3339(absl::InfinitePast()), "");
}

}  // namespace
}  // namespace keyhold::control
