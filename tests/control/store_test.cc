// The database: transactions, versions, damage, a full disk.
#include "control/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "control/schema.h"
#include "control/sql.h"
#include "control/tables.h"

// After sql.h, which sets SOCI up.
#include <soci/sqlite3/soci-sqlite3.h>

namespace keyhold::control {
namespace {

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    char name[] = "/tmp/keyhold-store-XXXXXX";
    dir_ = mkdtemp(name);
    path_ = dir_ + "/keyhold.db";
  }
  ~StoreTest() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<Store> Open() {
    auto store = Store::Open(path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  Cause OpenFails() {
    const auto store = Store::Open(path_);
    EXPECT_FALSE(store.ok());
    return store.ok() ? Cause::kInternal : CauseOf(store.status());
  }
  void Execute(const char* sql) { soci::session(soci::sqlite3, "db=" + path_) << sql; }

  std::string dir_;
  std::string path_;
};

Cluster NewCluster(const std::string& id) {
  Cluster cluster;
  cluster.id = id;
  cluster.name = "n" + id;
  cluster.cloud = "AWS";
  cluster.labels = {{"team", "it's \"quoted\"; drop table clusters"}};
  cluster.created_at = absl::FromUnixMicros(1'700'000'000'123'456);
  return cluster;
}

TEST_F(StoreTest, WhatWasWrittenIsThereAfterReopening) {
  Node node;
  node.id = "n1";
  node.cluster_id = "1";
  node.region = "us-east-1";
  {
    const auto store = Open();
    ASSERT_TRUE(store
                    ->Write([&](Tables& tables) {
                      tables.clusters.Insert(NewCluster("1"), {{"1", "us-east-1"}});
                      tables.nodes.Insert(node);
                      return OkStatus();
                    })
                    .ok());
  }
  const auto store = Open();
  ASSERT_TRUE(store
                  ->Read([&](Tables& tables) {
                    const auto view = tables.clusters.Get("1");
                    EXPECT_EQ(view->cluster.labels, NewCluster("1").labels);
                    EXPECT_EQ(view->cluster.created_at, NewCluster("1").created_at);
                    EXPECT_EQ(view->cluster.deleted_at, absl::InfinitePast());
                    EXPECT_EQ(view->regions.at(0).name, "us-east-1");
                    EXPECT_EQ(view->nodes.at(0).id, "n1");
                    EXPECT_FALSE(view->nodes.at(0).reported);
                    return OkStatus();
                  })
                  .ok());
}

TEST_F(StoreTest, AFailedChangeChangesNothing) {
  const auto store = Open();
  const Status refused = store->Write([](Tables& tables) {
    tables.clusters.Insert(NewCluster("1"), {});
    return Error(Cause::kConflict, "no");
  });
  EXPECT_EQ(CauseOf(refused), Cause::kConflict);
  // A name that is taken breaks the unique index in the middle of a change.
  const Status broken = store->Write([](Tables& tables) {
    tables.clusters.Insert(NewCluster("1"), {});
    Cluster twin = NewCluster("2");
    twin.name = "n1";
    tables.clusters.Insert(twin, {});
    return OkStatus();
  });
  EXPECT_EQ(CauseOf(broken), Cause::kIo);
  ASSERT_TRUE(store
                  ->Read([](Tables& tables) {
                    EXPECT_TRUE(tables.clusters.Ids(true).empty());
                    return OkStatus();
                  })
                  .ok());
}

TEST_F(StoreTest, TheDatabaseHasOneOwner) {
  const auto store = Open();
  EXPECT_EQ(OpenFails(), Cause::kFailedPrecondition);
}

// A file of the first version, with one account that has a key.
TEST_F(StoreTest, AClusterOfTheSecondVersionHasTheServersGrace) {
  for (const char* statement : kSchemaV1) Execute(statement);
  for (const char* statement : kSchemaV2) Execute(statement);
  Execute("insert into settings(name, value) values ('schema_version', '2')");
  Execute(
      "insert into clusters(id, name, plan, cloud, lifecycle, add_on, private_network, delete_protection,"
      " labels, hardware, creator_id, revoked, revoked_at, created_at, updated_at, deleted_at)"
      " values ('c', 'c', 'ADVANCED', 'AWS', 'CREATED', 1, 0, 0, '{}', '{}', 'a', 0, 0, 1, 1, 0)");
  for (int i = 0; i < 2; ++i) {
    const auto store = Open();
    ASSERT_TRUE(store
                    ->Write([&](Tables& tables) {
                      Cluster cluster = tables.clusters.Get("c")->cluster;
                      EXPECT_EQ(cluster.unreachable_grace.has_value(), i == 1);
                      cluster.unreachable_grace = absl::ZeroDuration();
                      tables.clusters.Update(cluster);
                      return OkStatus();
                    })
                    .ok());
  }
}

TEST_F(StoreTest, AFileOfTheFirstVersionGetsRoles) {
  for (const char* statement : kSchemaV1) Execute(statement);
  Execute("insert into settings(name, value) values ('schema_version', '1')");
  Execute("insert into service_accounts(id, name, description, created_at) values ('a', 'admin', '', 1)");
  for (int i = 0; i < 2; ++i) {
    const auto store = Open();
    ASSERT_TRUE(store
                    ->Read([&](Tables& tables) {
                      const auto accounts = tables.organization.ServiceAccounts();
                      EXPECT_EQ(accounts.size(), 1U);
                      EXPECT_EQ(accounts[0].creator_name, "");
                      const std::vector<RoleGrant> expected = {{"a", Role::kClusterAdmin, ""},
                                                               {"a", Role::kOrgAdmin, ""}};
                      EXPECT_EQ(tables.roles.OfAccount("a"), expected);
                      return OkStatus();
                    })
                    .ok());
  }
}

TEST_F(StoreTest, AnUpgradeThatFailsLeavesTheFirstVersion) {
  for (const char* statement : kSchemaV1) Execute(statement);
  Execute("insert into settings(name, value) values ('schema_version', '1')");
  Execute("create table role_grants (in_the_way integer)");
  OpenFails();
  Execute("drop table role_grants");
  Open();
}

TEST_F(StoreTest, ANewerSchemaIsLeftAlone) {
  Open();
  Execute("update settings set value = '99' where name = 'schema_version'");
  EXPECT_EQ(OpenFails(), Cause::kFailedPrecondition);
}

TEST_F(StoreTest, DamageIsSaid) {
  std::ofstream(path_) << std::string(8192, 'x');
  EXPECT_EQ(OpenFails(), Cause::kCorrupt);
  std::filesystem::remove(path_);
  Execute("create table other (x integer)");
  EXPECT_EQ(OpenFails(), Cause::kCorrupt);
}

TEST_F(StoreTest, AFullDiskIsSaidAndChangesNothing) {
  const auto store = Open();
  struct rlimit old {};
  getrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{4096, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  const Status full = store->Write([](Tables& tables) {
    for (int i = 0; i < 200; ++i) tables.clusters.Insert(NewCluster(std::to_string(i)), {});
    return OkStatus();
  });
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_FALSE(full.ok());
  ASSERT_TRUE(store
                  ->Read([](Tables& tables) {
                    EXPECT_TRUE(tables.clusters.Ids(true).empty());
                    return OkStatus();
                  })
                  .ok());
  EXPECT_TRUE(store
                  ->Write([](Tables& tables) {
                    tables.clusters.Insert(NewCluster("1"), {});
                    return OkStatus();
                  })
                  .ok());
}

TEST_F(StoreTest, AuditTimesGrowStrictly) {
  const auto store = Open();
  AuditEvent event;
  event.created_at = absl::FromUnixMicros(1'700'000'000'000'000);
  ASSERT_TRUE(store
                  ->Write([&](Tables& tables) {
                    for (int i = 0; i < 3; ++i) tables.audit.Append(event);
                    return OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(store
                  ->Read([&](Tables& tables) {
                    const auto events = tables.audit.List({.descending = false, .limit = 10});
                    EXPECT_EQ(events.size(), 3U);
                    EXPECT_EQ(events[2].created_at - events[0].created_at, absl::Microseconds(2));
                    return OkStatus();
                  })
                  .ok());
}

}  // namespace
}  // namespace keyhold::control
