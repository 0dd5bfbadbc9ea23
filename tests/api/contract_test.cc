// Every operation of the Cloud API and its error answers, through a proxy that holds them against the API's
// OpenAPI document: cloud-api.openapi.json, the shapes alone. KEYHOLD_CONTRACT names another document.
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/api/api_fixture.h"
#include "tests/api/prism.h"
#include "tests/support/source_dir.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

constexpr char kNoCluster[] = "/api/v1/clusters/00000000-0000-4000-8000-000000000000";

std::string DocumentPath() {
  const char* given = std::getenv("KEYHOLD_CONTRACT");
  return given != nullptr ? given : testing::SourceDir() + "/tests/api/cloud-api.openapi.json";
}

class ContractTest : public ApiTest {
 protected:
  void SetUp() override {
    const auto program = FindPrism();
    if (!program.ok()) GTEST_SKIP() << "the contract is not checked: " << program.status().message();
    std::ifstream file(DocumentPath());
    document_ = json::parse(file);
    StartServer();
    StartAgent();
    auto prism = Prism::Start(*program, DocumentPath(), port());
    ASSERT_TRUE(prism.ok()) << prism.status();
    prism_ = *std::move(prism);
  }

  // A well-formed request whose answer, and itself, must hold against the document.
  json Walk(const std::string& method, const std::string& path, const json& body = nullptr,
            int status = 200) {
    const auto answer = Through(method, path, body, key_, status);
    EXPECT_EQ(answer.status, status) << method << " " << path << ": " << answer.text;
    EXPECT_EQ(Violations(answer, ""), json::array()) << method << " " << path << ": " << answer.text;
    EXPECT_EQ(answer.headers.count("cc-version"), 1U);
    if (status != 200) CheckError(answer, status);
    ++walked_[absl::StrCat(method, " ", OperationOf(method, path))];
    return answer.body;
  }

  // A request that is wrong in itself: the answer alone must hold.
  void Refused(const std::string& method, const std::string& path, const json& body, int status) {
    RefusedAs(key_, method, path, body, status);
  }
  void RefusedAs(const std::string& key, const std::string& method, const std::string& path, const json& body,
                 int status) {
    const auto answer = Through(method, path, body, key, status);
    EXPECT_EQ(answer.status, status) << method << " " << path << ": " << answer.text;
    EXPECT_EQ(Violations(answer, "response"), json::array()) << method << " " << path << ": " << answer.text;
    CheckError(answer, status);
    ++refused_[absl::StrCat(method, " ", OperationOf(method, path))];
  }

  // The operations of the document, as "GET /api/v1/clusters".
  std::set<std::string> Operations() const {
    std::set<std::string> operations;
    for (const auto& path : document_["paths"].items()) {
      for (const auto& method : path.value().items()) {
        operations.insert(absl::StrCat(absl::AsciiStrToUpper(method.key()), " ", path.key()));
      }
    }
    return operations;
  }

  std::unique_ptr<Prism> prism_;
  json document_;
  std::map<std::string, int> walked_;
  std::map<std::string, int> refused_;

 private:
  // Prism makes up an answer where the server says 501: what is not offered is asked for without it.
  HttpAnswer Through(const std::string& method, const std::string& path, const json& body,
                     const std::string& key, int status) {
    if (status == 501) return Call(port(), key, method, path, body.is_null() ? "" : body.dump());
    return Call(prism_->port(), key, method, path, body.is_null() ? "" : body.dump());
  }

  // What Prism found wrong, of "request" or "response" only if that is asked for.
  static json Violations(const HttpAnswer& answer, const std::string& part) {
    json found = json::array();
    const auto header = answer.headers.find("sl-violations");
    if (header == answer.headers.end()) return found;
    for (const json& violation : json::parse(header->second)) {
      if (part.empty() || violation["location"][0] == part) found.push_back(violation);
    }
    return found;
  }

  // The gRPC code that belongs to the HTTP status, a sentence, and Any values with their types.
  static void CheckError(const HttpAnswer& answer, int status) {
    static const std::map<int, std::set<int>> codes = {{400, {3, 9}}, {401, {16}},    {403, {7}}, {404, {5}},
                                                       {405, {12}},   {409, {6, 10}}, {413, {3}}, {429, {8}},
                                                       {500, {13}},   {501, {12}},    {503, {14}}};
    ASSERT_TRUE(answer.body.is_object()) << answer.text;
    ASSERT_TRUE(codes.contains(status));
    EXPECT_TRUE(codes.at(status).contains(answer.body["code"])) << answer.text;
    EXPECT_GT(answer.body["message"].get<std::string>().size(), 10U);
    ASSERT_TRUE(answer.body["details"].is_array());
    for (const json& detail : answer.body["details"]) {
      EXPECT_TRUE(detail["@type"].is_string());
    }
  }

  // The document's path that `path` is one of.
  std::string OperationOf(const std::string& method, const std::string& target) const {
    const std::vector<std::string> path = absl::StrSplit(target.substr(0, target.find('?')), '/');
    std::string best;
    size_t best_names = 99;
    for (const auto& entry : document_["paths"].items()) {
      const std::vector<std::string> pattern = absl::StrSplit(entry.key(), '/');
      size_t names = 0;
      bool fits = pattern.size() == path.size() && entry.value().contains(absl::AsciiStrToLower(method));
      for (size_t i = 0; fits && i < path.size(); ++i) {
        const bool name = pattern[i].starts_with("{");
        names += name ? 1 : 0;
        fits = name || pattern[i] == path[i];
      }
      if (fits && names < best_names) {
        best = entry.key();
        best_names = names;
      }
    }
    EXPECT_NE(best, "") << target;
    return best;
  }
};

json ClusterBody(const std::string& name) {
  return {{"name", name},
          {"provider", "AWS"},
          {"spec",
           {{"plan", "ADVANCED"},
            {"labels", {{"team", "a"}}},
            {"delete_protection", "DISABLED"},
            {"dedicated",
             {{"region_nodes", {{"us-east-1", 1}}},
              {"hardware", {{"storage_gib", 15}, {"machine_spec", {{"num_virtual_cpus", 4}}}}},
              {"network_visibility", "PRIVATE"}}}}}};
}

TEST_F(ContractTest, EveryOperationAndItsErrorsHold) {
  const std::string api = "/api/v1/";
  // Clusters.
  const json made = Walk("POST", api + "clusters", ClusterBody("contract"));
  const std::string id = made["id"];
  const std::string cluster = api + "clusters/" + id;
  AwaitCluster(id, "state", "CREATED");
  Walk("POST", api + "clusters",
       {{"name", "basic"},
        {"provider", "GCP"},
        {"spec", {{"plan", "BASIC"}, {"serverless", {{"regions", {"us-east1"}}}}}}});
  Walk("POST", api + "clusters", ClusterBody("contract"), 409);
  Refused("POST", api + "clusters", {{"name", "x"}}, 400);
  Refused("POST", api + "clusters", {{"name", 1}, {"provider", "IBM"}, {"spec", json::array()}}, 400);
  for (const char* query :
       {"", "?pagination.limit=1&pagination.sort_by=CREATED_AT&pagination.sort_order=DESC",
        "?show_inactive=true&pagination.sort_by=DELETED_AT", "?pagination.as_of_time=2026-01-01T00:00:00Z"}) {
    Walk("GET", api + "clusters" + query);
  }
  Refused("GET", api + "clusters?pagination.limit=0", nullptr, 400);
  Refused("GET", api + "clusters?pagination.page=%25", nullptr, 400);
  Walk("GET", cluster);
  Walk("GET", kNoCluster, nullptr, 404);
  Walk("PATCH", cluster, {{"delete_protection", "ENABLED"}, {"labels", {{"team", "b"}}}});
  Walk("DELETE", cluster, nullptr, 400);
  Walk("PATCH", cluster, {{"delete_protection", "DISABLED"}});
  Walk("PATCH", cluster, {{"plan", "BASIC"}}, 400);
  Walk("PATCH", kNoCluster, {{"plan", "ADVANCED"}}, 404);
  Walk("GET", cluster + "/nodes");
  Walk("GET", cluster + "/nodes?region_name=us-east-1&pagination.limit=5");
  Walk("GET", std::string(kNoCluster) + "/nodes", nullptr, 404);
  Walk("GET", cluster + "/connection-string?database=app&sql_user=maya&os=LINUX");
  Refused("GET", cluster + "/connection-string?database=a%2Fb", nullptr, 400);
  Walk("GET", api + "clusters/available-regions?provider=AWS&serverless=false&pagination.limit=3");
  Refused("GET", api + "clusters/available-regions?provider=IBM", nullptr, 400);
  Walk("GET", api + "cluster-versions");

  // CMEK, each state as it passes.
  agent_->Hold(true);
  Walk("GET", cluster + "/cmek");
  Refused("POST", cluster + "/cmek", {{"region_specs", json::array()}}, 400);
  const json enabling = Walk("POST", cluster + "/cmek", RegionSpecs(kKey1));
  EXPECT_EQ(enabling["status"], "ENABLING");
  EXPECT_EQ(enabling["region_infos"][0]["status"], "ENABLING");
  EXPECT_EQ(enabling["region_infos"][0]["key_infos"][0]["spec"]["uri"], kKey1);
  Walk("POST", cluster + "/cmek", RegionSpecs(kKey2), 409);
  Walk("GET", cluster);
  agent_->Hold(false);
  AwaitCluster(id, "operation_status", "UNSPECIFIED");
  Walk("POST", cluster + "/cmek", RegionSpecs(kKey2), 409);
  agent_->Hold(true);
  const json rotating = Walk("PUT", cluster + "/cmek", RegionSpecs(kKey2));
  EXPECT_EQ(rotating["region_infos"][0]["status"], "ROTATING");
  EXPECT_EQ(rotating["region_infos"][0]["key_infos"][0]["spec"]["uri"], kKey2);
  EXPECT_EQ(rotating["region_infos"][0]["key_infos"][1]["spec"]["uri"], kKey1);
  agent_->Hold(false);
  AwaitCluster(id, "operation_status", "UNSPECIFIED");
  json denied = RegionSpecs(kKey1);
  denied["region_specs"][0]["key_spec"]["auth_principal"] = "arn:aws:iam::111122223333:role/denied";
  Walk("PUT", cluster + "/cmek", denied, 400);
  Walk("GET", cluster + "/cmek");
  agent_->Hold(true);
  const json revoking = Walk("PATCH", cluster + "/cmek", {{"action", "REVOKE"}});
  EXPECT_EQ(revoking["region_infos"][0]["status"], "REVOKING");
  agent_->Hold(false);
  AwaitCluster(id, "state", "LOCKED");
  Walk("GET", cluster);
  Walk("GET", cluster + "/cmek");
  Refused("PATCH", cluster + "/cmek", {{"action", "DISABLE"}}, 400);
  for (const char* method : {"POST", "PUT"})
    Walk(method, std::string(kNoCluster) + "/cmek", RegionSpecs(kKey1), 404);
  Walk("PATCH", std::string(kNoCluster) + "/cmek", {{"action", "REVOKE"}}, 404);
  Walk("GET", std::string(kNoCluster) + "/cmek", nullptr, 404);

  // SQL users and networks.
  Walk("POST", cluster + "/sql-users", {{"name", "maya"}, {"password", "correct horse"}});
  Walk("POST", cluster + "/sql-users", {{"name", "maya"}, {"password", "correct horse"}}, 409);
  Refused("POST", cluster + "/sql-users", {{"name", "maya"}}, 400);
  Walk("PUT", cluster + "/sql-users/maya/password", {{"password", "battery staple"}});
  Walk("PUT", cluster + "/sql-users/nobody/password", {{"password", "battery staple"}}, 404);
  Walk("GET", cluster + "/sql-users?pagination.limit=1");
  Walk("DELETE", cluster + "/sql-users/maya");
  Walk("DELETE", cluster + "/sql-users/maya", nullptr, 404);
  const std::string allowlist = cluster + "/networking/allowlist";
  const json entry = {
      {"cidr_ip", "10.0.0.0"}, {"cidr_mask", 8}, {"name", "office"}, {"sql", true}, {"ui", false}};
  Walk("POST", allowlist, entry);
  Walk("POST", allowlist, entry, 409);
  Refused("POST", allowlist, {{"cidr_ip", "ten"}, {"cidr_mask", 8}, {"sql", true}, {"ui", false}}, 400);
  Walk("GET", allowlist + "?pagination.limit=2");
  Walk("PATCH", allowlist + "/10.0.0.0/8", {{"name", "hq"}, {"sql", true}, {"ui", true}});
  Walk("PUT", allowlist + "/10.1.0.0/16", {{"name", "new"}, {"sql", true}, {"ui", true}});
  Walk("DELETE", allowlist + "/10.0.0.0/8");
  Walk("DELETE", allowlist + "/10.0.0.0/8", nullptr, 404);
  Walk("PATCH", allowlist + "/10.0.0.0/8", {{"sql", true}, {"ui", true}}, 404);

  // What is not offered says so in the same shape.
  for (const char* path : {"/backups", "/backups-config", "/databases", "/restores", "/restores/x"}) {
    Walk("GET", cluster + path, nullptr, 501);
  }
  Walk("PATCH", cluster + "/backups-config", {{"enabled", true}}, 501);
  Walk("POST", cluster + "/restores", {{"type", "CLUSTER"}}, 501);
  Walk("POST", cluster + "/databases", {{"name", "app"}}, 501);
  Walk("PATCH", cluster + "/databases", {{"name", "app"}, {"new_name", "app2"}}, 501);
  Walk("PATCH", cluster + "/databases/app", {{"new_name", "app2"}}, 501);
  Walk("DELETE", cluster + "/databases/app", nullptr, 501);

  // Organization, accounts, keys, roles, audit log.
  Walk("GET", api + "organization");
  const json admin = {{"name", "CLUSTER_ADMIN"}, {"resource", {{"type", "ORGANIZATION"}}}};
  const json on_cluster = {{"name", "CLUSTER_DEVELOPER"}, {"resource", {{"type", "CLUSTER"}, {"id", id}}}};
  const json account_made = Walk("POST", api + "service-accounts",
                                 {{"name", "ci"}, {"description", "builds"}, {"roles", {admin, on_cluster}}});
  const std::string account = account_made["id"];
  const std::string account_path = api + "service-accounts/" + account;
  const std::string nobody = "00000000-0000-4000-8000-000000000000";
  Refused("POST", api + "service-accounts", {{"name", "ci"}, {"roles", "all"}}, 400);
  Walk("GET", api + "service-accounts?pagination.limit=10");
  Walk("GET", account_path);
  Walk("GET", api + "service-accounts/" + nobody, nullptr, 404);
  Walk("PATCH", account_path, {{"description", "all builds"}});
  Walk("PATCH", api + "service-accounts/" + nobody, {{"name", "x"}}, 404);
  Walk("GET", api + "roles?pagination.limit=1");
  Walk("GET", api + "roles/" + account);
  Walk("GET", api + "roles/" + nobody, nullptr, 404);
  Walk("PUT", api + "roles/" + account, {{"roles", {on_cluster}}});
  Walk("PUT", api + "roles/" + nobody, {{"roles", {on_cluster}}}, 404);
  Refused("PUT", api + "roles/" + account, {{"roles", {{{"name", "KING"}}}}}, 400);
  const std::string grant = api + "roles/" + account + "/ORGANIZATION/organization/METRICS_VIEWER";
  Walk("POST", grant);
  Walk("DELETE", grant);
  Refused("POST", api + "roles/" + account + "/ORGANIZATION/organization/KING", nullptr, 400);
  Walk("POST", api + "roles/" + account + "/FOLDER/f/FOLDER_ADMIN", nullptr, 501);
  const json key = Walk("POST", api + "api-keys", {{"name", "ci"}, {"service_account_id", account}});
  const std::string key_path = api + "api-keys/" + key["api_key"]["id"].get<std::string>();
  Walk("GET", api + "api-keys?service_account_id=" + account + "&pagination.limit=10");
  Walk("GET", key_path);
  Walk("PATCH", key_path, {{"name", "ci2"}});
  Walk("DELETE", key_path);
  Walk("GET", key_path, nullptr, 404);
  Walk("PATCH", key_path, {{"name", "ci2"}}, 404);
  Walk("DELETE", key_path, nullptr, 404);
  // One with few roles is told what is missing, and nothing of what he may not see.
  const json few = Walk("POST", api + "api-keys", {{"name", "few"}, {"service_account_id", account}});
  const std::string few_key = few["secret"];
  RefusedAs(few_key, "PUT", cluster + "/cmek", RegionSpecs(kKey1), 403);
  RefusedAs(few_key, "GET", api + "auditlogevents", nullptr, 403);
  RefusedAs(few_key, "POST", api + "clusters", ClusterBody("no"), 403);
  Walk("DELETE", account_path);
  Walk("DELETE", account_path, nullptr, 404);
  Walk("GET", api + "auditlogevents?limit=5&sort_order=DESC");
  Walk("GET", api + "auditlogevents?starting_from=2026-01-01T00:00:00Z");
  Refused("GET", api + "auditlogevents?sort_order=UP", nullptr, 400);

  // Who may not call is told so everywhere, before anything else.
  for (const std::string& operation : Operations()) {
    const std::vector<std::string> parts = absl::StrSplit(operation, ' ');
    std::string path = parts[1];
    for (size_t at; (at = path.find('{')) != std::string::npos;) {
      path.replace(at, path.find('}') - at + 1, "x");
    }
    RefusedAs("CCDB1_wrong", parts[0], path, parts[0] == "GET" ? json() : json::object(), 401);
  }
  Walk("DELETE", cluster);
  Walk("GET", cluster);

  for (const std::string& operation : Operations()) {
    EXPECT_TRUE(walked_.contains(operation)) << operation << " was not called";
  }
  int walked = 0, refused = 0;
  for (const auto& [operation, count] : walked_) walked += count;
  for (const auto& [operation, count] : refused_) refused += count;
  std::cout << "contract: " << Operations().size() << " operations, " << walked << " well-formed calls and "
            << refused << " wrong ones, none against the document\n";
}

}  // namespace
}  // namespace keyhold::api
