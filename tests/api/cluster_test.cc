// Clusters over HTTP: made, listed, changed, deleted, and what they say of themselves.
#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ClusterTest : public ApiTest {};

TEST_F(ClusterTest, IsCreatingUntilItsNodeServes) {
  const std::string id = Create("maya");
  const json before = Get("/api/v1/clusters/" + id).body;
  EXPECT_EQ(before["state"], "CREATING");
  EXPECT_EQ(before["plan"], "ADVANCED");
  EXPECT_EQ(before["account_id"], "999900001111");
  EXPECT_EQ(before["advanced_security_add_on"], true);
  EXPECT_EQ(before["cmek_config"]["status"], "DISABLED");
  StartAgent();
  const json after = AwaitCluster(id, "state", "CREATED");
  EXPECT_EQ(after["operation_status"], "UNSPECIFIED");
  EXPECT_EQ(after["regions"][0]["name"], "us-east-1");
  EXPECT_EQ(after["regions"][0]["sql_dns"], "127.0.0.1");
  EXPECT_EQ(Get("/api/v1/clusters/" + id + "/nodes").body["nodes"][0]["status"], "LIVE");
}

TEST_F(ClusterTest, TheAddOnComesWithAPrivateNetworkAndNeverGoes) {
  const auto made =
      Send("POST", "/api/v1/clusters", json::parse(R"({"name": "p", "provider": "AWS", "spec": {"dedicated":
                         {"region_nodes": {"us-east-1": 1}, "network_visibility": "PRIVATE"}}})"));
  ASSERT_EQ(made.status, 200) << made.text;
  EXPECT_EQ(made.body["advanced_security_add_on"], true);
  EXPECT_EQ(made.body["network_visibility"], "PRIVATE");
  const std::string path = "/api/v1/clusters/" + made.body["id"].get<std::string>();
  const auto off = Send("PATCH", path, {{"advanced_security_add_on", false}});
  EXPECT_EQ(off.status, 400);
  EXPECT_THAT(off.text, HasSubstr("cannot be turned off"));
}

TEST_F(ClusterTest, PlansGoUpAndNotDown) {
  const std::string path = "/api/v1/clusters/" + Create("b", "BASIC", false);
  EXPECT_EQ(Send("PATCH", path, {{"advanced_security_add_on", true}}).status, 400);
  EXPECT_EQ(Send("PATCH", path, {{"plan", "ADVANCED"}, {"advanced_security_add_on", true}}).status, 200);
  EXPECT_EQ(Get(path).body["plan"], "ADVANCED");
  EXPECT_EQ(Get(path).body["advanced_security_add_on"], true);
  EXPECT_EQ(Send("PATCH", path, {{"plan", "STANDARD"}}).status, 400);
  EXPECT_EQ(Get(path).body["plan"], "ADVANCED");
}

TEST_F(ClusterTest, NamesAreUniqueAmongTheLiving) {
  StartAgent();
  const std::string id = Create("one");
  const json again = json::parse(R"({"name": "one", "provider": "AWS",
      "spec": {"dedicated": {"region_nodes": {"us-east-1": 1}}}})");
  EXPECT_EQ(Send("POST", "/api/v1/clusters", again).status, 409);
  EXPECT_EQ(Send("DELETE", "/api/v1/clusters/" + id, json::object()).body["state"], "DELETED");
  EXPECT_EQ(Send("POST", "/api/v1/clusters", again).status, 200);
}

TEST_F(ClusterTest, IsDeletedOnlyWhenItsFilesAreGone) {
  StartAgent();
  const std::string id = Create("gone");
  StopAll();
  options_.observe_timeout = absl::ZeroDuration();
  StartServer();
  const auto deleting = Send("DELETE", "/api/v1/clusters/" + id, json::object());
  EXPECT_EQ(deleting.body["state"], "LOCKED");
  EXPECT_EQ(deleting.body["lock"]["cause"], "DELETING");
  EXPECT_EQ(Send("PATCH", "/api/v1/clusters/" + id, {{"labels", json::object()}}).status, 400);
  StartAgent();
  const json deleted = AwaitCluster(id, "state", "DELETED");
  EXPECT_FALSE(deleted["deleted_at"].get<std::string>().empty());
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 0U);
  EXPECT_EQ(Get("/api/v1/clusters?show_inactive=true").body["clusters"].size(), 1U);
}

TEST_F(ClusterTest, DeleteProtectionHolds) {
  const std::string path = "/api/v1/clusters/" + Create("safe");
  EXPECT_EQ(Send("PATCH", path, {{"delete_protection", "ENABLED"}}).status, 200);
  EXPECT_EQ(Send("DELETE", path, json::object()).status, 400);
  EXPECT_EQ(Get(path).body["state"], "CREATING");
}

TEST_F(ClusterTest, ALockedNodeLocksItsCluster) {
  StartAgent();
  const std::string id = Create("l");
  agent_->Report(id, [](wire::NodeStatus& status) {
    status.state = wire::NodeState::kLocked;
    status.lock = wire::Trouble{"KMS_DISABLED", "key K is disabled", "2026-01-02T03:04:05Z"};
  });
  const json locked = AwaitCluster(id, "state", "LOCKED");
  EXPECT_EQ(locked["lock"]["cause"], "KMS_DISABLED");
  EXPECT_EQ(locked["lock"]["message"], "key K is disabled");
  EXPECT_EQ(locked["lock"]["since"], "2026-01-02T03:04:05Z");
  EXPECT_THAT(Call(port(), "", "GET", "/metrics").text, HasSubstr("keyhold_clusters{state=\"LOCKED\"} 1"));
  agent_->Report(id, [](wire::NodeStatus& status) {
    status.state = wire::NodeState::kServing;
    status.lock.reset();
    status.warning = wire::Trouble{"KMS_UNREACHABLE", "no answer", "2026-01-02T03:04:05Z"};
    status.locks_at = "2026-01-02T03:19:05Z";
  });
  const json warned = AwaitCluster(id, "state", "CREATED");
  EXPECT_EQ(warned["warning"]["cause"], "KMS_UNREACHABLE");
  EXPECT_EQ(warned["warning"]["locks_at"], "2026-01-02T03:19:05Z");
  EXPECT_FALSE(warned.contains("lock"));
}

TEST_F(ClusterTest, AFailedNodeSaysSo) {
  StartAgent();
  const std::string id = Create("f");
  agent_->Report(id, [](wire::NodeStatus& status) {
    status.state = wire::NodeState::kFailed;
    status.failure = "the key ring is damaged";
  });
  EXPECT_EQ(AwaitCluster(id, "state", "LOCKED")["lock"]["message"], "the key ring is damaged");
}

TEST_F(ClusterTest, ACreationThatFailedMayStillComeUp) {
  StartAgent();
  agent_->Hold(true);
  const std::string id = [&] {
    return Send("POST", "/api/v1/clusters", json::parse(R"({"name": "j", "provider": "AWS",
        "spec": {"dedicated": {"region_nodes": {"us-east-1": 1}}}})"))
        .body["id"]
        .get<std::string>();
  }();
  const std::string node = Get("/api/v1/clusters/" + id + "/nodes").body["nodes"][0]["name"];
  agent_->Report(id, [&](wire::NodeStatus& status) {
    status.node_id = node;
    status.state = wire::NodeState::kFailed;
  });
  AwaitCluster(id, "state", "CREATION_FAILED");
  agent_->Hold(false);
  AwaitCluster(id, "state", "CREATED");
}

TEST_F(ClusterTest, PagesGoOnBehindTheLastKey) {
  for (const char* name : {"a", "b", "c", "d", "e"}) Create(name);
  const std::string base = "/api/v1/clusters?pagination.sort_by=NAME&pagination.limit=2";
  const auto page = [&](const json& token) {
    return Get(base + "&pagination.page=" + token.get<std::string>()).body;
  };
  const json first = Get(base).body;
  EXPECT_EQ(first["clusters"][1]["name"], "b");
  EXPECT_EQ(first["pagination"]["previous_page"], "");
  const json second = page(first["pagination"]["next_page"]);
  EXPECT_EQ(second["clusters"][0]["name"], "c");
  const json third = page(second["pagination"]["next_page"]);
  ASSERT_EQ(third["clusters"].size(), 1U);
  EXPECT_EQ(third["pagination"]["next_page"], "");
  EXPECT_EQ(page(third["pagination"]["previous_page"])["clusters"], second["clusters"]);
  EXPECT_EQ(Get(base + "&pagination.sort_order=DESC").body["clusters"][0]["name"], "e");
  for (const char* bad : {"pagination.limit=0", "pagination.limit=x", "pagination.page=!",
                          "pagination.sort_order=UP", "pagination.sort_by=SIZE"}) {
    EXPECT_EQ(Get(std::string("/api/v1/clusters?") + bad).status, 400) << bad;
  }
}

// Walks each order there and back in pages of two: every cluster once, in order, deleted ones where asked
// for.
TEST_F(ClusterTest, EveryOrderIsWalkedBothWays) {
  std::vector<std::string> names = {"b", "a", "d", "c", "e"};
  for (const std::string& name : names) Create(name);
  const auto walk = [&](std::string query, const char* way) {
    std::vector<std::string> seen;
    std::string page;
    do {
      const json body = Get("/api/v1/clusters?pagination.limit=2&" + query + "&pagination.page=" + page).body;
      for (const json& cluster : body["clusters"]) seen.push_back(cluster["name"]);
      page = body["pagination"][way].get<std::string>();
    } while (!page.empty());
    return seen;
  };
  EXPECT_EQ(walk("pagination.sort_by=CREATED_AT", "next_page"), names);
  EXPECT_EQ(walk("pagination.sort_by=DELETED_AT&show_inactive=true", "next_page"), names);
  std::reverse(names.begin(), names.end());
  EXPECT_EQ(walk("pagination.sort_by=CREATED_AT&pagination.sort_order=DESC", "next_page"), names);
  EXPECT_THAT(walk("pagination.sort_by=NAME", "next_page"), testing::ElementsAre("a", "b", "c", "d", "e"));
  const json last =
      Get("/api/v1/clusters?pagination.sort_by=NAME&pagination.sort_order=DESC&pagination.limit=4").body;
  const std::string token = last["pagination"]["next_page"];
  EXPECT_EQ(Get("/api/v1/clusters?pagination.sort_by=CREATED_AT&pagination.page=" + token).status, 400)
      << "a key of another order";
}

TEST_F(ClusterTest, ConnectionStringAndCertificate) {
  const std::string id = Create("c");
  EXPECT_EQ(Get("/api/v1/clusters/" + id + "/connection-string").status, 503);
  EXPECT_EQ(Call(port(), "", "GET", "/clusters/" + id + "/cert").status, 503);
  StartAgent();
  AwaitCluster(id, "state", "CREATED");
  const json string = Get("/api/v1/clusters/" + id + "/connection-string?sql_user=maya&database=db1").body;
  EXPECT_EQ(string["connection_string"], "postgresql://maya@127.0.0.1:26257/db1?sslmode=verify-full");
  EXPECT_EQ(string["params"]["Port"], "26257");
  EXPECT_EQ(Get("/api/v1/clusters/" + id + "/connection-string?sql_user=a%40b%2Fc").status, 400);
  EXPECT_EQ(Call(port(), "", "GET", "/clusters/" + id + "/cert").text, "PEM of c\n");
}

struct BadCluster {
  const char* body;
  int status;
  const char* says;
};

class BadClusterTest : public ApiTest, public testing::WithParamInterface<BadCluster> {};

TEST_P(BadClusterTest, IsRefusedAndChangesNothing) {
  const auto answer = Call(port(), key_, "POST", "/api/v1/clusters", GetParam().body);
  EXPECT_EQ(answer.status, GetParam().status) << answer.text;
  EXPECT_THAT(answer.text, HasSubstr(GetParam().says));
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 0U);
}

#define SPEC R"("provider": "AWS", "spec": {"dedicated": {"region_nodes": {"us-east-1": 1}}})"
#define NODES(nodes) R"({"name": "x", "provider": "AWS", "spec": {"dedicated": {"region_nodes": )" nodes "}}}"
const BadCluster kBadClusters[] = {
    BadCluster{"", 400, "not JSON"},
    BadCluster{R"({"name": "x")", 400, "breaks at byte"},
    BadCluster{"[]", 400, "must be a JSON object"},
    BadCluster{R"("x")", 400, "must be a JSON object"},
    BadCluster{R"({"name": 3, )" SPEC "}", 400, "name must be a string, not number"},
    BadCluster{R"({"name": "x", "color": 1, )" SPEC "}", 400, "unknown field color"},
    BadCluster{R"({"name": "../x", )" SPEC "}", 400, "cluster's name"},
    BadCluster{R"({"name": "x; drop table clusters", )" SPEC "}", 400, "cluster's name"},
    BadCluster{R"raw({"name": "$(reboot)", )raw" SPEC "}", 400, "cluster's name"},
    BadCluster{R"({"name": "x\u0000y", )" SPEC "}", 400, "control characters"},
    BadCluster{R"({"name": "a23456789012345678901234567890123456", )" SPEC "}", 400, "cluster's name"},
    BadCluster{R"({"name": "x", "provider": "aws", "spec": {}})", 400, "AWS, GCP or AZURE"},
    BadCluster{R"({"name": "x", "provider": "AWS"})", 400, "spec is missing"},
    BadCluster{R"({"name": "x", "provider": "AWS", "spec": {}})", 400, "needs a region"},
    BadCluster{R"({"name": "x", "provider": "AWS", "spec": []})", 400, "spec must be an object, not array"},
    BadCluster{R"({"name": "x", "provider": "AWS", "spec": {"plan": "GOLD"}})", 400, "spec.plan must be"},
    BadCluster{NODES(R"({"mars-1": 1})"), 400, "has no region mars-1"},
    BadCluster{NODES(R"({"us-east1": 1})"), 400, "AWS has no region us-east1"},
    BadCluster{NODES(R"({"us-east-1": "1"})"), 400, "must be an integer"},
    BadCluster{NODES(R"({"us-east-1": 3})"), 501, "several nodes"},
    BadCluster{NODES(R"({"us-east-1": 1, "us-nowhere-2": 1})"), 400, "no region us-nowhere-2"},
    BadCluster{R"({"name": "x", "provider": "AWS", "spec": {"plan": "BASIC", "advanced_security_add_on": true,
                   "serverless": {"regions": ["us-east-1"]}}})",
               400, "need the ADVANCED plan"},
    BadCluster{R"({"name": "x", "provider": "AWS", "spec": {"labels": {"A": "b"},
                   "dedicated": {"region_nodes": {"us-east-1": 1}}}})",
               400, "label"}};

INSTANTIATE_TEST_SUITE_P(All, BadClusterTest, testing::ValuesIn(kBadClusters));

TEST_F(ClusterTest, HostileBodiesAreRefused) {
  const auto post = [&](const std::string& body) {
    return Call(port(), key_, "POST", "/api/v1/clusters", body);
  };
  EXPECT_EQ(post(R"({"name": )" + std::string(100'000, '[')).status, 400);
  EXPECT_THAT(post(R"({"name": )" + std::string(200, '[') + std::string(200, ']') + "}").text,
              HasSubstr("nested deeper"));
  EXPECT_EQ(post(R"({"name": ")" + std::string(10 << 20, 'a') + R"("})").status, 413);
  EXPECT_EQ(post("{\"name\": \"\xff\xfe\"}").status, 400);
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 0U);
}

TEST_F(ClusterTest, UnknownClustersAreNotFound) {
  for (const char* id : {"00000000-0000-4000-8000-000000000000", "..%2F..", "%27%20or%201%3D1", "x"}) {
    const std::string path = std::string("/api/v1/clusters/") + id;
    EXPECT_EQ(Get(path).status, 404) << id;
    EXPECT_EQ(Send("PATCH", path + "/cmek", {{"action", "REVOKE"}}).status, 404);
  }
}

}  // namespace
}  // namespace keyhold::api
