// The services over a real store: rules that do not need HTTP, and the fleet's waiting.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "control/allowlist.h"
#include "control/api_keys.h"
#include "control/audit.h"
#include "control/clusters.h"
#include "control/fleet.h"
#include "control/organization.h"
#include "control/regions.h"
#include "control/sql_users.h"

namespace keyhold::control {
namespace {

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    EXPECT_TRUE(crypto::InitSecretMemory().ok());
    char name[] = "/tmp/keyhold-service-XXXXXX";
    dir_ = mkdtemp(name);
    store_ = *Store::Open(dir_ + "/keyhold.db");
    core_ = std::make_unique<Core>(Core{*store_, changes_, SystemClock(), crypto::SystemRandom(),
                                        absl::Seconds(5), absl::ZeroDuration()});
    fleet_ = std::make_unique<Fleet>(*core_, FleetOptions{});
  }
  ~ServiceTest() override { std::filesystem::remove_all(dir_); }

  std::string Create(const std::string& name) {
    ClusterSpec spec;
    spec.name = name;
    spec.cloud = "AWS";
    spec.regions = {"us-east-1"};
    const auto view = Clusters(*core_, *fleet_).Create(caller_, spec);
    EXPECT_TRUE(view.ok()) << view.status();
    return view->cluster.id;
  }

  std::string dir_;
  Changes changes_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<Fleet> fleet_;
  const Caller caller_{"sa", "admin", "key", "127.0.0.1", "AUDIT_LOG_SOURCE_CC_API"};
};

TEST_F(ServiceTest, BootstrapIsDoneOnce) {
  ASSERT_TRUE(Bootstrap(*core_, dir_).ok());
  const auto organization = GetOrganization(*core_);
  std::ifstream file(dir_ + "/api-key");
  std::string key;
  file >> key;
  ASSERT_TRUE(ApiKeys(*core_).Authenticate(key).ok());
  const auto token = ReadAgentToken(dir_);
  ASSERT_TRUE(token.ok()) << token.status();
  ASSERT_TRUE(Bootstrap(*core_, dir_).ok());
  EXPECT_EQ(GetOrganization(*core_)->id, organization->id);
  EXPECT_EQ(ReadAgentToken(dir_)->ExposeText(), token->ExposeText());
  EXPECT_EQ(ApiKeys(*core_).List("")->size(), 1U);
}

TEST_F(ServiceTest, AKeyFileLeftByACutOffStartIsUsed) {
  const auto text = NewApiKeyText(crypto::SystemRandom());
  std::ofstream(dir_ + "/api-key") << text.ExposeText() << "\n";
  ASSERT_TRUE(Bootstrap(*core_, dir_).ok());
  EXPECT_TRUE(ApiKeys(*core_).Authenticate(text.ExposeText()).ok());
}

TEST_F(ServiceTest, ADeletedKeyFileIsNotMadeAgain) {
  ASSERT_TRUE(Bootstrap(*core_, dir_).ok());
  std::filesystem::remove(dir_ + "/api-key");
  ASSERT_TRUE(Bootstrap(*core_, dir_).ok());
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/api-key"));
}

TEST_F(ServiceTest, ADamagedTokenIsSaid) {
  std::ofstream(dir_ + "/agent-token") << "short\n";
  EXPECT_EQ(CauseOf(Bootstrap(*core_, dir_)), Cause::kCorrupt);
}

TEST_F(ServiceTest, TheDatabaseHasNoKeyInIt) {
  ASSERT_TRUE(Bootstrap(*core_, dir_).ok());
  std::ifstream file(dir_ + "/api-key");
  std::string key;
  file >> key;
  for (const char* name : {"/keyhold.db", "/keyhold.db-wal"}) {
    std::ifstream db(dir_ + name, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(db)), {});
    EXPECT_EQ(bytes.find(key.substr(29)), std::string::npos) << name;
  }
}

TEST_F(ServiceTest, ARefusedChangeLeavesItsEventAlone) {
  Audit audit(*core_, caller_, "UPDATE_CLUSTER", nlohmann::json::object());
  const Status status = audit.Outcome(audit.Commit([&](Tables& tables) {
    tables.organization.SetSetting("x", "y");
    return Error(Cause::kConflict, "not now");
  }));
  EXPECT_EQ(CauseOf(status), Cause::kConflict);
  ASSERT_TRUE(store_
                  ->Read([](Tables& tables) {
                    EXPECT_EQ(tables.organization.Setting("x"), "");
                    const auto events = tables.audit.List({});
                    EXPECT_EQ(events.size(), 1U);
                    EXPECT_EQ(events.at(0).error, "not now");
                    EXPECT_EQ(events.at(0).action, "AUDIT_LOG_ACTION_UPDATE_CLUSTER");
                    return OkStatus();
                  })
                  .ok());
}

TEST_F(ServiceTest, WorkIsGivenOnceUntilItChanges) {
  Fleet fleet(*core_, {});
  Create("a");
  const auto first = fleet.Await("h", "", absl::Seconds(5));
  ASSERT_EQ(first->nodes.size(), 1U);
  const auto same = fleet.Await("h", first->version, absl::ZeroDuration());
  EXPECT_EQ(same->version, first->version);
  auto next =
      std::async(std::launch::async, [&] { return fleet.Await("h", first->version, absl::Seconds(20)); });
  Create("b");
  EXPECT_EQ(fleet.Await("h", "", absl::ZeroDuration())->nodes.size(), 2U);
  EXPECT_EQ(next.get()->nodes.size(), 2U);
}

TEST_F(ServiceTest, ANodeStaysWithItsHost) {
  Fleet fleet(*core_, {});
  Create("a");
  EXPECT_EQ(fleet.Await("one", "", absl::ZeroDuration())->nodes.size(), 1U);
  EXPECT_EQ(fleet.Await("two", "", absl::ZeroDuration())->nodes.size(), 0U);
  EXPECT_NE(fleet.LastSeen("two"), absl::InfinitePast());
  EXPECT_EQ(fleet.LastSeen("three"), absl::InfinitePast());
}

TEST_F(ServiceTest, OnlyNodesOfADeletedClusterCanBeRemoved) {
  Fleet fleet(*core_, {});
  const std::string id = Create("a");
  const std::string node = Clusters(*core_, *fleet_).Get(id)->nodes.at(0).id;
  EXPECT_EQ(CauseOf(fleet.Removed(node)), Cause::kFailedPrecondition);
  ASSERT_TRUE(Clusters(*core_, *fleet_).Delete(caller_, id).ok());
  EXPECT_TRUE(fleet.Await("h", "", absl::ZeroDuration())->nodes.at(0).remove);
  EXPECT_TRUE(fleet.Removed(node).ok());
  EXPECT_TRUE(fleet.Removed(node).ok());
  EXPECT_EQ(Clusters(*core_, *fleet_).Get(id)->cluster.lifecycle, Lifecycle::kDeleted);
  EXPECT_EQ(CauseOf(fleet.PutStatus(node, {})), Cause::kNotFound);
}

TEST_F(ServiceTest, AReportThatOnlyTheKeyIsStillUsableRingsNoBell) {
  Fleet fleet(*core_, {});
  const std::string id = Create("a");
  const std::string node = Clusters(*core_, *fleet_).Get(id)->nodes.at(0).id;
  wire::NodeStatus status;
  status.node_id = node;
  status.state = wire::NodeState::kServing;
  ASSERT_TRUE(fleet.PutStatus(node, status).ok());
  std::atomic<int> asked = 0;
  auto rung = std::async(std::launch::async,
                         [&] { return changes_.Await(absl::Hours(1), [&] { return ++asked > 1; }); });
  while (asked == 0) std::this_thread::yield();
  status.version = 2;
  status.last_probe_at = "2026-01-01T00:00:00Z";
  ASSERT_TRUE(fleet.PutStatus(node, status).ok());
  EXPECT_EQ(rung.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
  EXPECT_EQ(Clusters(*core_, *fleet_).Get(id)->nodes.at(0).status.last_probe_at, status.last_probe_at);
  status.warning = wire::Trouble{"KMS_UNREACHABLE", "no answer", "2026-01-01T00:00:01Z"};
  ASSERT_TRUE(fleet.PutStatus(node, status).ok());
  EXPECT_TRUE(rung.get());
}

TEST_F(ServiceTest, AChecksAnswerFindsItsCaller) {
  Fleet fleet(*core_, {});
  const std::string node = Clusters(*core_, *fleet_).Get(Create("a"))->nodes.at(0).id;
  const auto version = fleet.Await("h", "", absl::ZeroDuration())->version;
  auto check = std::async(std::launch::async, [&] {
    return fleet.Check(node, {"AWS_KMS", "arn:x", ""}, "us-east-1", absl::Seconds(20));
  });
  const auto work = fleet.Await("h", version, absl::Seconds(20));
  ASSERT_EQ(work->checks.size(), 1U);
  EXPECT_EQ(work->checks[0].key_spec.uri, "arn:x");
  EXPECT_TRUE(fleet.Await("h", version, absl::ZeroDuration())->checks.empty()) << "handed out twice";
  EXPECT_TRUE(fleet.FinishCheck(work->checks[0].id, Error(Cause::kKmsUnreachable, "no answer")).ok());
  EXPECT_EQ(CauseOf(check.get().status()), Cause::kKmsUnreachable);
  EXPECT_EQ(CauseOf(fleet.FinishCheck(work->checks[0].id, wire::CheckReport{})), Cause::kNotFound);
  EXPECT_EQ(CauseOf(fleet.Check("nobody", {}, "", absl::ZeroDuration()).status()), Cause::kNotFound);
}

TEST_F(ServiceTest, NewOptionsReachEveryNode) {
  const std::string id = Create("a");
  ASSERT_TRUE(ApplyFleetOptions(*core_, {}).ok());
  const uint64_t before = Clusters(*core_, *fleet_).Get(id)->nodes.at(0).generation;
  ASSERT_TRUE(ApplyFleetOptions(*core_, {}).ok());
  EXPECT_EQ(Clusters(*core_, *fleet_).Get(id)->nodes.at(0).generation, before);
  ASSERT_TRUE(ApplyFleetOptions(*core_, {absl::Seconds(9), absl::Minutes(1)}).ok());
  EXPECT_EQ(Clusters(*core_, *fleet_).Get(id)->nodes.at(0).generation, before + 1);
}

TEST_F(ServiceTest, ClosingEndsEveryWait) {
  Fleet fleet(*core_, {});
  const auto version = fleet.Await("h", "", absl::ZeroDuration())->version;
  auto wait = std::async(std::launch::async, [&] { return fleet.Await("h", version, absl::Hours(1)); });
  changes_.Close();
  EXPECT_TRUE(wait.get().ok());
}

TEST(ApiKeyText, HasTheVendorsForm) {
  ASSERT_TRUE(crypto::InitSecretMemory().ok());
  const auto one = NewApiKeyText(crypto::SystemRandom());
  const auto two = NewApiKeyText(crypto::SystemRandom());
  EXPECT_NE(one.ExposeText(), two.ExposeText());
  EXPECT_THAT(std::string(one.ExposeText()), testing::MatchesRegex("CCDB1_[A-Za-z0-9]{22}_[A-Za-z0-9]{40}"));
  EXPECT_TRUE(HasApiKeyForm(one.ExposeText()));
  EXPECT_FALSE(HasApiKeyForm(std::string(one.ExposeText()) + "x"));
  EXPECT_FALSE(HasApiKeyForm(""));
}

TEST(AllowlistEntries, AreNormalized) {
  const auto normal = [](const std::string& ip, int64_t mask) {
    const auto entry = Normalized({"c", ip, mask});
    return entry.ok() ? entry->cidr_ip : std::string(CauseName(CauseOf(entry.status())));
  };
  EXPECT_EQ(normal("10.1.0.0", 16), "10.1.0.0");
  EXPECT_EQ(normal("2001:0DB8:0::", 32), "2001:db8::");
  EXPECT_EQ(normal("0.0.0.0", 0), "0.0.0.0");
  for (const auto& [ip, mask] :
       std::vector<std::pair<std::string, int64_t>>{{"10.1.0.1", 16},
                                                    {"10.1.0.0", -1},
                                                    {"10.1.0.0", 33},
                                                    {"::1", 127},
                                                    {"010.1.0.0", 16},
                                                    {"", 0},
                                                    {std::string("10.1.0.0\0", 9), 16},
                                                    {"fe80::1%eth0", 128}}) {
    EXPECT_EQ(normal(ip, mask), "INVALID_ARGUMENT") << ip;
  }
}

TEST(Regions, AreAClouds) {
  EXPECT_TRUE(CheckCloudRegion("AWS", "us-east-1").ok());
  EXPECT_TRUE(CheckCloudRegion("GCP", "us-east1").ok());
  EXPECT_TRUE(CheckCloudRegion("AZURE", "eastus").ok());
  EXPECT_EQ(CauseOf(CheckCloudRegion("AWS", "eastus")), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(CheckCloudRegion("IBM", "us-east-1")), Cause::kInvalidArgument);
}

TEST(ClusterChanges, GoOneWay) {
  Cluster cluster;
  cluster.plan = Plan::kStandard;
  EXPECT_EQ(CauseOf(ApplyChange({.add_on = true}, cluster)), Cause::kFailedPrecondition);
  EXPECT_EQ(CauseOf(ApplyChange({.plan = Plan::kBasic}, cluster)), Cause::kFailedPrecondition);
  EXPECT_TRUE(ApplyChange({.plan = Plan::kAdvanced, .add_on = true}, cluster).ok());
  EXPECT_TRUE(cluster.add_on);
  EXPECT_EQ(CauseOf(ApplyChange({.add_on = false}, cluster)), Cause::kFailedPrecondition);
  EXPECT_TRUE(ApplyChange({.delete_protection = true}, cluster).ok());
  EXPECT_TRUE(cluster.delete_protection);
}

TEST(Names, OfEnumerationsGoBothWays) {
  for (const Plan plan : {Plan::kBasic, Plan::kStandard, Plan::kAdvanced}) {
    EXPECT_EQ(PlanFromName(PlanName(plan)), plan);
  }
  EXPECT_EQ(LifecycleFromName("DELETING"), Lifecycle::kDeleting);
  EXPECT_EQ(CmekKindFromName("ROTATE"), CmekKind::kRotate);
  EXPECT_EQ(PlanFromName("basic"), std::nullopt);
}

}  // namespace
}  // namespace keyhold::control
