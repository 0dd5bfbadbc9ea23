// Who may do what: every operation, by every role, in every scope; and the rules for giving and taking roles.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/router.h"
#include "control/roles.h"
#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// The roles that the Cloud API's reference names for each operation, written down apart from the server's
// table.
struct Rule {
  const char* method;
  const char* path;
  const char* scope;  // member: any account; organization; cluster: there or on the organization; anywhere
  const char* roles;
};
constexpr Rule kRules[] = {
#include "tests/api/role_table.inc"
};

constexpr char kApi[] = "/api/v1/";

class RolesTest : public ApiTest {
 protected:
  // An account with these roles ({"CLUSTER_ADMIN", cluster id or ""}) and its key.
  struct Account {
    std::string id;
    std::string key;
  };
  using Grants = std::vector<std::pair<std::string, std::string>>;

  static json RoleJson(const std::string& role, const std::string& cluster) {
    json resource = {{"type", cluster.empty() ? "ORGANIZATION" : "CLUSTER"}};
    if (!cluster.empty()) resource["id"] = cluster;
    return {{"name", role}, {"resource", resource}};
  }

  Account MakeAccount(const Grants& grants) {
    json roles = json::array();
    for (const auto& [role, cluster] : grants) roles.push_back(RoleJson(role, cluster));
    const auto account = Send("POST", std::string(kApi) + "service-accounts",
                              {{"name", "test"}, {"description", ""}, {"roles", roles}});
    EXPECT_EQ(account.status, 200) << account.text;
    const std::string id = account.body["id"];
    const auto key =
        Send("POST", std::string(kApi) + "api-keys", {{"name", "k"}, {"service_account_id", id}});
    EXPECT_EQ(key.status, 200) << key.text;
    return {id, key.body["secret"]};
  }

  HttpAnswer As(const Account& account, const std::string& method, const std::string& path,
                const json& body = {}) {
    return Call(port(), account.key, method, path, body.is_null() ? "" : body.dump());
  }

  std::string GrantPath(const std::string& account, const std::string& role, const std::string& cluster) {
    return absl::StrCat(kApi, "roles/", account, "/", cluster.empty() ? "ORGANIZATION" : "CLUSTER", "/",
                        cluster.empty() ? "organization" : cluster, "/", role);
  }
};

bool Has(const std::string& roles, const std::string& role) {
  const std::vector<std::string> names = absl::StrSplit(roles, ' ');
  return std::find(names.begin(), names.end(), role) != names.end();
}

// The path with `cluster` and otherwise what is not there, so that a call that is allowed changes nothing.
std::string PathOf(const Rule& rule, const std::string& cluster) {
  std::vector<std::string> parts = absl::StrSplit(rule.path, '/');
  for (std::string& part : parts) {
    if (part == "{cluster_id}") part = cluster;
    if (part == "{cidr_ip}") part = "10.9.9.0";
    if (part == "{cidr_mask}") part = "24";
    if (part.starts_with("{")) part = "nobody";
  }
  return absl::StrJoin(parts, "/");
}

enum class Outcome { kAllowed, kDenied, kHidden };

Outcome OutcomeOf(const HttpAnswer& answer) {
  if (answer.status == 403) return Outcome::kDenied;
  const bool hidden = answer.status == 404 && answer.text.find("no cluster with the id") != std::string::npos;
  return hidden ? Outcome::kHidden : Outcome::kAllowed;
}

// `cluster`: the one that the role is on; `here`: the one in the path.
Outcome Expected(const Rule& rule, const std::string& role, const std::string& cluster,
                 const std::string& here) {
  static const std::string kSeers =
      "ORG_ADMIN CLUSTER_ADMIN CLUSTER_OPERATOR_WRITER CLUSTER_DEVELOPER METRICS_VIEWER CLUSTER_MONITOR";
  const std::string scope = rule.scope;
  if (scope == "member") return Outcome::kAllowed;
  const bool fits = cluster.empty() || scope == "anywhere" || (scope == "cluster" && cluster == here);
  if (Has(rule.roles, role) && fits) return Outcome::kAllowed;
  const bool sees = Has(kSeers, role) && (cluster.empty() || cluster == here);
  return scope == "cluster" && !sees ? Outcome::kHidden : Outcome::kDenied;
}

TEST(RoleTable, HasEveryOperationOfTheApiOnce) {
  std::set<std::string> ruled, routed;
  for (const Rule& rule : kRules) ruled.insert(absl::StrCat(rule.method, " ", rule.path));
  for (const Route& route : Routes()) {
    if (route.access != Access::kApiKey) continue;
    EXPECT_TRUE(
        routed.insert(absl::StrCat(std::string(route.method), " ", std::string(route.pattern))).second);
    EXPECT_EQ(route.scope == Scope::kMember, route.roles == 0) << route.pattern;
    const bool changes = route.method != "GET" && !route.pattern.ends_with("/check");
    EXPECT_EQ(changes, !route.action.empty()) << route.pattern;
  }
  EXPECT_EQ(ruled, routed);
  EXPECT_EQ(std::size(kRules), ruled.size());
}

TEST_F(RolesTest, EveryOperationByEveryRoleInEveryScope) {
  const std::string here = Create("here"), there = Create("there");
  Send("PATCH", "/api/v1/clusters/" + here, {{"delete_protection", "ENABLED"}});
  std::vector<std::pair<std::string, std::string>> holders = {{"", ""}};
  for (size_t i = 0; i < control::kRoleCount; ++i) {
    const auto role = static_cast<control::Role>(i);
    const std::string name(control::RoleName(role));
    if (name.starts_with("FOLDER_")) continue;
    holders.emplace_back(name, "");
    if (!control::IsClusterRole(role)) continue;
    holders.emplace_back(name, here);
    holders.emplace_back(name, there);
  }
  int calls = 0;
  std::map<Outcome, int> counts;
  for (const auto& [role, cluster] : holders) {
    const Account account = MakeAccount(role.empty() ? Grants{} : Grants{{role, cluster}});
    for (const Rule& rule : kRules) {
      const std::string path = PathOf(rule, here);
      const bool reads = std::string(rule.method) == "GET" || std::string(rule.method) == "DELETE";
      const auto answer = Call(port(), account.key, rule.method, path, reads ? "" : "{\"broken\"");
      const Outcome expected = Expected(rule, role, cluster, here);
      EXPECT_EQ(OutcomeOf(answer), expected)
          << rule.method << " " << path << " by " << role << " on " << cluster << ": " << answer.text;
      ++calls;
      ++counts[expected];
    }
  }
  // Nothing that was allowed or refused has changed anything.
  EXPECT_EQ(Get("/api/v1/clusters").body["clusters"].size(), 2U);
  std::cout << "roles: " << std::size(kRules) << " operations, " << holders.size() << " holders of a role, "
            << calls << " calls: " << counts[Outcome::kAllowed] << " allowed, " << counts[Outcome::kDenied]
            << " denied, " << counts[Outcome::kHidden] << " not found\n";
}

// Each operation that changes something, by who may not and by who may but asks for what is none.
TEST_F(RolesTest, EveryChangeThatIsRefusedIsInTheAuditLogWithItsAction) {
  const std::string id = Create("here");
  Send("PATCH", "/api/v1/clusters/" + id, {{"delete_protection", "ENABLED"}});
  const Account nobody = MakeAccount({});
  int refused = 0;
  for (const Route& route : Routes()) {
    if (route.action.empty()) continue;
    const std::string pattern(route.pattern), method(route.method);
    const std::string path = PathOf({nullptr, pattern.c_str(), nullptr, nullptr}, id);
    for (const std::string& key : {nobody.key, key_}) {
      const auto answer = Call(port(), key, method, path, method == "DELETE" ? "" : "{\"broken\"");
      if (answer.status == 200) continue;  // what is not there is deleted already
      ++refused;
      const json entry = Get("/api/v1/auditlogevents?sort_order=DESC&limit=1").body["entries"][0];
      EXPECT_EQ(entry["action"], "AUDIT_LOG_ACTION_" + std::string(route.action)) << method << " " << path;
      EXPECT_EQ(entry["service_account_name"], key == key_ ? "admin" : "test") << method << " " << path;
      EXPECT_EQ(entry["error"], answer.body["message"]) << method << " " << path;
      EXPECT_EQ(entry["metadata"]["ip_address"], "127.0.0.1");
    }
  }
  EXPECT_GE(refused, 50);
}

TEST_F(RolesTest, ProtectionFromDeletionIsAnEventOfItsOwn) {
  const std::string path = "/api/v1/clusters/" + Create("p");
  EXPECT_EQ(Send("PATCH", path, {{"delete_protection", "ENABLED"}}).body["delete_protection"], "ENABLED");
  const auto refused = Send("DELETE", path, nullptr);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.text, HasSubstr("--delete-protection DISABLED"));
  EXPECT_EQ(Get(path).body["state"], "CREATING") << "nothing has changed";
  EXPECT_EQ(Send("PATCH", path, {{"delete_protection", "MAYBE"}}).status, 400);
  EXPECT_EQ(Send("PATCH", path, {{"delete_protection", "DISABLED"}}).status, 200);
  const json entries = Get("/api/v1/auditlogevents?sort_order=DESC&limit=4").body["entries"];
  EXPECT_EQ(entries[0]["action"], "AUDIT_LOG_ACTION_SET_DELETE_PROTECTION");
  EXPECT_EQ(entries[1]["action"], "AUDIT_LOG_ACTION_UPDATE_CLUSTER") << "what was not understood";
  EXPECT_EQ(entries[2]["action"], "AUDIT_LOG_ACTION_DELETE_CLUSTER");
  EXPECT_EQ(entries[3]["action"], "AUDIT_LOG_ACTION_SET_DELETE_PROTECTION");
  EXPECT_EQ(entries[3]["cluster_name"], "p");
}

TEST_F(RolesTest, ListsShowWhatMayBeSeen) {
  const std::string here = Create("here");
  Create("there");
  const Account all = MakeAccount({{"METRICS_VIEWER", ""}});
  const Account one = MakeAccount({{"CLUSTER_DEVELOPER", here}});
  const Account none = MakeAccount({});
  EXPECT_EQ(As(all, "GET", "/api/v1/clusters").body["clusters"].size(), 2U);
  const json seen = As(one, "GET", "/api/v1/clusters").body["clusters"];
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0]["id"], here);
  EXPECT_EQ(As(none, "GET", "/api/v1/clusters").status, 403);
  EXPECT_EQ(As(none, "GET", "/api/v1/organization").status, 200);
}

TEST_F(RolesTest, WhoMayNotSeeAClusterIsToldThatItIsNotThere) {
  const std::string id = Create("secret");
  const Account stranger = MakeAccount({{"CLUSTER_ADMIN", Create("other")}});
  const std::string nowhere = "00000000-0000-4000-8000-000000000000";
  for (const char* path : {"", "/cmek", "/sql-users", "/nodes", "/backups"}) {
    const auto guessed = As(stranger, "GET", "/api/v1/clusters/" + id + path);
    const auto missing = As(stranger, "GET", "/api/v1/clusters/" + nowhere + path);
    EXPECT_EQ(guessed.status, 404);
    EXPECT_EQ(absl::StrReplaceAll(guessed.text, {{id, nowhere}}), missing.text) << "an oracle for ids";
  }
  // The certificate is for whoever knows the id; it is no secret, and says no name.
  EXPECT_EQ(As(stranger, "DELETE", "/api/v1/clusters/" + id).status, 404);
}

TEST_F(RolesTest, RolesAreGivenAndTaken) {
  const std::string id = Create("a");
  const Account account = MakeAccount({});
  const std::string cluster = "/api/v1/clusters/" + id;
  EXPECT_EQ(As(account, "GET", cluster).status, 404);
  const auto added = Send("POST", GrantPath(account.id, "CLUSTER_DEVELOPER", id), nullptr);
  ASSERT_EQ(added.status, 200) << added.text;
  EXPECT_EQ(added.body["roles"],
            json::array({{{"name", "ORG_MEMBER"}, {"resource", {{"type", "ORGANIZATION"}, {"id", ""}}}},
                         {{"name", "CLUSTER_DEVELOPER"}, {"resource", {{"type", "CLUSTER"}, {"id", id}}}}}));
  EXPECT_EQ(Send("POST", GrantPath(account.id, "CLUSTER_DEVELOPER", id), nullptr).body, added.body);
  EXPECT_EQ(As(account, "GET", cluster).status, 200);
  EXPECT_EQ(As(account, "DELETE", cluster).status, 403);
  EXPECT_EQ(Get("/api/v1/roles/" + account.id).body, added.body);
  EXPECT_EQ(Send("DELETE", GrantPath(account.id, "CLUSTER_DEVELOPER", id), nullptr).body["roles"].size(), 1U);
  EXPECT_EQ(As(account, "GET", cluster).status, 404);
  const json roles = {{"roles", {RoleJson("CLUSTER_ADMIN", id), RoleJson("BILLING_VIEWER", "")}}};
  EXPECT_EQ(Send("PUT", "/api/v1/roles/" + account.id, roles).body["roles"].size(), 3U);
  EXPECT_EQ(Get("/api/v1/roles").body["grants"].size(), 2U);
  EXPECT_EQ(Send("PUT", "/api/v1/roles/" + account.id, {{"roles", json::array()}}).body["roles"].size(), 1U);
}

TEST_F(RolesTest, NobodyGivesMoreThanHeHas) {
  const std::string id = Create("a"), other = Create("b");
  const Account on_one = MakeAccount({{"CLUSTER_ADMIN", id}});
  const Account on_all = MakeAccount({{"CLUSTER_ADMIN", ""}});
  const Account target = MakeAccount({});
  const auto add = [&](const Account& by, const std::string& role, const std::string& cluster) {
    return As(by, "POST", GrantPath(target.id, role, cluster)).status;
  };
  EXPECT_EQ(add(on_one, "CLUSTER_DEVELOPER", id), 200);
  EXPECT_EQ(add(on_one, "CLUSTER_DEVELOPER", other), 403);
  EXPECT_EQ(add(on_one, "CLUSTER_DEVELOPER", ""), 403);
  EXPECT_EQ(add(on_one, "ORG_ADMIN", ""), 403);
  EXPECT_EQ(add(on_all, "CLUSTER_DEVELOPER", other), 200);
  EXPECT_EQ(add(on_all, "CLUSTER_CREATOR", ""), 200);
  EXPECT_EQ(add(on_all, "ORG_ADMIN", ""), 403);
  EXPECT_EQ(As(on_all, "PUT", "/api/v1/roles/" + target.id, {{"roles", {RoleJson("ORG_ADMIN", "")}}}).status,
            403);
  EXPECT_EQ(As(on_one, "PUT", "/api/v1/roles/" + target.id, {{"roles", json::array()}}).status, 403);
  EXPECT_EQ(As(on_all, "POST", std::string(kApi) + "service-accounts",
               {{"name", "x"}, {"description", ""}, {"roles", {RoleJson("ORG_ADMIN", "")}}})
                .status,
            403);
  EXPECT_EQ(Get("/api/v1/service-accounts").body["service_accounts"].size(), 4U);
  // He is shown the roles on what he administers.
  const json shown = As(on_one, "POST", GrantPath(target.id, "METRICS_VIEWER", id)).body["roles"];
  EXPECT_EQ(shown.size(), 2U) << shown.dump();
}

TEST_F(RolesTest, BadGrantsAreRefused) {
  const Account target = MakeAccount({});
  const auto add = [&](const std::string& path) { return Send("POST", kApi + path, nullptr).status; };
  const std::string roles = "roles/" + target.id;
  EXPECT_EQ(add(roles + "/ORGANIZATION/x/KING"), 400);
  EXPECT_EQ(add(roles + "/PLANET/x/ORG_ADMIN"), 400);
  EXPECT_EQ(add(roles + "/CLUSTER/nobody/CLUSTER_ADMIN"), 404);
  EXPECT_EQ(add(roles + "/CLUSTER/" + Create("a") + "/ORG_ADMIN"), 400);
  EXPECT_EQ(add(roles + "/FOLDER/x/FOLDER_ADMIN"), 501);
  EXPECT_EQ(add("roles/nobody/ORGANIZATION/x/ORG_ADMIN"), 404);
  for (const json& list :
       {json("x"), json{{"a", 1}}, json::array({1}), json::array({{{"name", "ORG_ADMIN"}}}),
        json::array({{{"name", "CLUSTER_ADMIN"}, {"resource", {{"type", "CLUSTER"}}}}})}) {
    EXPECT_EQ(Send("PUT", "/api/v1/" + roles, {{"roles", list}}).status, 400) << list.dump();
  }
  EXPECT_EQ(Get("/api/v1/" + roles).body["roles"].size(), 1U);
}

TEST_F(RolesTest, TheLastAdminStays) {
  const std::string admin = Get("/api/v1/service-accounts").body["service_accounts"][0]["id"];
  EXPECT_EQ(Send("DELETE", GrantPath(admin, "ORG_ADMIN", ""), nullptr).status, 400);
  EXPECT_EQ(Send("PUT", "/api/v1/roles/" + admin, {{"roles", json::array()}}).status, 400);
  EXPECT_EQ(Send("DELETE", "/api/v1/service-accounts/" + admin, nullptr).status, 400);
  EXPECT_EQ(Send("DELETE", "/api/v1/api-keys/" + key_.substr(6, 22), nullptr).status, 400);
  const Account second = MakeAccount({{"ORG_ADMIN", ""}});
  EXPECT_EQ(Send("DELETE", GrantPath(admin, "ORG_ADMIN", ""), nullptr).status, 200);
  EXPECT_EQ(As(second, "DELETE", "/api/v1/service-accounts/" + admin).status, 200);
  EXPECT_EQ(Get("/api/v1/organization").status, 401) << "its keys went with it";
  EXPECT_EQ(As(second, "GET", "/api/v1/service-accounts").body["service_accounts"].size(), 1U);
}

TEST_F(RolesTest, ServiceAccountsAreMadeChangedAndDeleted) {
  const Account account = MakeAccount({{"CLUSTER_MONITOR", ""}});
  const std::string path = "/api/v1/service-accounts/" + account.id;
  EXPECT_EQ(Get(path).body["creator_name"], "admin");
  EXPECT_EQ(Send("PATCH", path, {{"name", "ci"}, {"description", "builds"}}).body["description"], "builds");
  EXPECT_EQ(Send("PATCH", path, {{"name", "new\nline"}}).status, 400);
  EXPECT_EQ(Send("PATCH", path, {{"name", ""}}).status, 400);
  EXPECT_EQ(Send("DELETE", path, nullptr).body["name"], "ci");
  EXPECT_EQ(As(account, "GET", "/api/v1/organization").status, 401);
  EXPECT_EQ(Get(path).status, 404);
  EXPECT_EQ(Send("DELETE", path, nullptr).status, 404);
}

TEST_F(RolesTest, ACreatorAdministersWhatHeMade) {
  const Account creator = MakeAccount({{"CLUSTER_CREATOR", ""}});
  const std::string other = Create("other");
  const auto made = As(creator, "POST", "/api/v1/clusters",
                       {{"name", "mine"},
                        {"provider", "AWS"},
                        {"spec", {{"dedicated", {{"region_nodes", {{"us-east-1", 1}}}}}}}});
  ASSERT_EQ(made.status, 200) << made.text;
  const std::string mine = made.body["id"];
  EXPECT_EQ(As(creator, "PATCH", "/api/v1/clusters/" + mine, {{"labels", {{"a", "b"}}}}).status, 200);
  EXPECT_EQ(As(creator, "GET", "/api/v1/clusters/" + other).status, 404);
  EXPECT_EQ(As(creator, "GET", "/api/v1/clusters").body["clusters"].size(), 1U);
}

TEST_F(RolesTest, EveryRefusalIsInTheAuditLog) {
  const std::string id = Create("a");
  const Account viewer = MakeAccount({{"CLUSTER_MONITOR", id}});
  EXPECT_EQ(As(viewer, "POST", "/api/v1/clusters/" + id + "/cmek", RegionSpecs(kKey1)).status, 403);
  EXPECT_EQ(Call(port(), key_, "POST", "/api/v1/clusters/" + id + "/sql-users", "{").status, 400);
  EXPECT_EQ(Send("POST", "/api/v1/clusters/" + id + "/restores", {{"type", "CLUSTER"}}).status, 501);
  const json entries = Get("/api/v1/auditlogevents?sort_order=DESC&limit=3").body["entries"];
  EXPECT_EQ(entries[0]["action"], "AUDIT_LOG_ACTION_RESTORE_CLUSTER");
  EXPECT_EQ(entries[1]["action"], "AUDIT_LOG_ACTION_CREATE_SQL_USER");
  EXPECT_THAT(entries[1]["error"].get<std::string>(), HasSubstr("not JSON"));
  EXPECT_EQ(entries[2]["action"], "AUDIT_LOG_ACTION_UPDATE_CMEK");
  EXPECT_EQ(entries[2]["service_account_name"], "test");
  EXPECT_EQ(entries[2]["cluster_name"], "a");
  EXPECT_EQ(entries[2]["metadata"]["ip_address"], "127.0.0.1");
  EXPECT_THAT(entries[2]["error"].get<std::string>(), HasSubstr("CLUSTER_ADMIN, CLUSTER_OPERATOR_WRITER"));
}

}  // namespace
}  // namespace keyhold::api
