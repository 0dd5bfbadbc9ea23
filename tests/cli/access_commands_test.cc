// Service accounts, API keys, roles, key policies, regions and labels.
#include "tests/cli/fixture.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kPath = std::string("/api/v1/clusters/") + kClusterId;

json Role(const std::string& name, const std::string& cluster = "") {
  return {{"name", name},
          {"resource", {{"type", cluster.empty() ? "ORGANIZATION" : "CLUSTER"}, {"id", cluster}}}};
}
json Account() {
  return {{"id", "sa-1"},
          {"name", "ci"},
          {"description", "builds"},
          {"created_at", "2026-11-24T09:00:00Z"},
          {"roles", {Role("ORG_MEMBER"), Role("CLUSTER_ADMIN", kClusterId)}}};
}

class AccessCommandsTest : public CliTest {
 protected:
  AccessCommandsTest() {
    api_.AddCluster(TestCluster());
    api_.On("GET /api/v1/service-accounts", {{"service_accounts", {Account()}}});
    api_.On("GET /api/v1/service-accounts/sa-1", Account());
  }

  // `cluster create --wait` of a cluster that is CREATING for some time.
  void Waited(bool terminal) {
    json creating = TestCluster("new");
    creating["id"] = "22222222-2222-3333-4444-555555555555";
    creating["state"] = "CREATING";
    json created = creating;
    created["state"] = "CREATED";
    const std::string path = "GET /api/v1/clusters/22222222-2222-3333-4444-555555555555";
    terminal_ = terminal;
    api_.On("POST /api/v1/clusters", creating);
    for (int i = 0; i < 3; ++i) api_.On(path, creating);
    api_.On(path, created);
    ASSERT_EQ(Ccloud({"cluster", "create", "ADVANCED", "new", "us-east-1", "--wait"}), 0) << Err();
  }
};

TEST_F(AccessCommandsTest, AServiceAccountIsMadeWithRoles) {
  api_.On("POST /api/v1/service-accounts", Account());
  ASSERT_EQ(Ccloud({"service-account", "create", "ci", "--description", "builds", "--role", "ORG_ADMIN",
                    "--role", "CLUSTER_ADMIN:demo"}),
            0)
      << Err();
  const json body = api_.Changes().back().body;
  EXPECT_EQ(body["name"], "ci");
  EXPECT_EQ(body["description"], "builds");
  ASSERT_EQ(body["roles"].size(), 2U);
  EXPECT_EQ(body["roles"][0], (json{{"name", "ORG_ADMIN"}, {"resource", {{"type", "ORGANIZATION"}}}}));
  EXPECT_EQ(body["roles"][1]["resource"], (json{{"type", "CLUSTER"}, {"id", kClusterId}}));
  EXPECT_THAT(Out(), StartsWith("Success! Created service account\n ID: sa-1\n Name: ci\n"));
}

TEST_F(AccessCommandsTest, AServiceAccountIsShownChangedAndDeleted) {
  api_.On("PATCH /api/v1/service-accounts/sa-1", Account());
  api_.On("DELETE /api/v1/service-accounts/sa-1", Account());
  ASSERT_EQ(Ccloud({"service-account", "get", "sa-1"}), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr(" Role: CLUSTER_ADMIN on cluster " + std::string(kClusterId)));
  ASSERT_EQ(Ccloud({"service-account", "get", "sa-1", "-o", "json"}), 0);
  EXPECT_EQ(Json(), Account());
  ASSERT_EQ(Ccloud({"service-account", "update", "sa-1", "--description", "x"}), 0);
  EXPECT_EQ(api_.Changes().back().body, (json{{"description", "x"}}));
  EXPECT_EQ(Ccloud({"service-account", "update", "sa-1"}), 2);
  ASSERT_EQ(Ccloud({"service-account", "delete", "sa-1"}), 0);
  EXPECT_EQ(Out(), "Success! Deleted service account\n ID: sa-1\n");
}

TEST_F(AccessCommandsTest, AnApiKeyIsRenamed) {
  api_.On("PATCH /api/v1/api-keys/k1", {{"id", "k1"}, {"name", "new"}});
  ASSERT_EQ(Ccloud({"service-account", "api-key", "update", "k1", "--name", "new"}), 0) << Err();
  EXPECT_EQ(Out(), "Success! Updated API key\n ID: k1\n Name: new\n");
  EXPECT_EQ(Ccloud({"service-account", "api-key", "update", "k1"}), 2);
}

TEST_F(AccessCommandsTest, RolesAreListedGivenTakenAndSet) {
  const json answer = {{"roles", {Role("ORG_MEMBER"), Role("METRICS_VIEWER", kClusterId)}}};
  api_.On("GET /api/v1/roles", {{"grants", {{{"user_id", "sa-1"}, {"roles", {Role("ORG_ADMIN")}}}}}});
  api_.On("GET /api/v1/roles/sa-1", answer);
  const std::string grant = std::string("/api/v1/roles/sa-1/CLUSTER/") + kClusterId + "/METRICS_VIEWER";
  api_.On("POST " + grant, answer);
  api_.On("DELETE " + grant, answer);
  api_.On("POST /api/v1/roles/sa-1/ORGANIZATION/organization/ORG_ADMIN", answer);
  api_.On("PUT /api/v1/roles/sa-1", answer);
  ASSERT_EQ(Ccloud({"role", "list"}), 0) << Err();
  EXPECT_EQ(Out(), "SERVICE ACCOUNT ID  ROLE       ON\nsa-1                ORG_ADMIN  organization\n");
  ASSERT_EQ(Ccloud({"role", "get", "ci"}), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr("METRICS_VIEWER  cluster " + std::string(kClusterId)));
  ASSERT_EQ(Ccloud({"role", "add", "ci", "METRICS_VIEWER:demo"}), 0) << Err();
  ASSERT_EQ(Ccloud({"role", "remove", "sa-1", "METRICS_VIEWER:demo"}), 0) << Err();
  ASSERT_EQ(Ccloud({"role", "add", "ci", "ORG_ADMIN", "-o", "json"}), 0) << Err();
  EXPECT_EQ(Json(), answer);
  ASSERT_EQ(Ccloud({"role", "set", "ci", "ORG_ADMIN", "METRICS_VIEWER:demo"}), 0) << Err();
  EXPECT_EQ(api_.Changes().back().body["roles"].size(), 2U);
  ASSERT_EQ(Ccloud({"role", "set", "ci"}), 0) << Err();
  EXPECT_EQ(api_.Changes().back().body["roles"], json::array());
}

TEST_F(AccessCommandsTest, AnUnknownAccountOrClusterChangesNothing) {
  EXPECT_EQ(Ccloud({"role", "add", "nobody", "ORG_ADMIN"}), 1);
  EXPECT_THAT(Err(), HasSubstr("ccloud service-account list shows those there are"));
  EXPECT_EQ(Ccloud({"role", "add", "ci", "CLUSTER_ADMIN:nowhere"}), 1);
  EXPECT_THAT(Err(), HasSubstr("no cluster \"nowhere\""));
  EXPECT_TRUE(api_.Changes().empty());
}

// Of a failed rotation's key nothing is to be granted; a revoked one is what brings the cluster back.
TEST_F(AccessCommandsTest, APolicyIsForTheKeyInForceOrTheOneOfLast) {
  api_.On("GET /api/v1/organization",
          {{"id", "o"},
           {"cockroach_cloud_service_principals", {{"aws", {{"user_arn", "arn:aws:iam::9:user/keyhold"}}}}}});
  const auto key = [](const char* status, const char* id) -> json {
    return {{"status", status}, {"spec", {{"uri", std::string("arn:aws:kms:us-east-1:42:key/") + id}}}};
  };
  const auto policy_of = [&](const std::string& name, const json& keys) {
    json cluster = TestCluster(name, "ENABLED");
    cluster["id"] = name;
    cluster["cmek_config"]["region_infos"] = {{{"region", "us-east-1"}, {"key_infos", keys}}};
    api_.AddCluster(cluster);
    EXPECT_EQ(Ccloud({"cmek", "policy", name}), 0) << Err();
    return Out();
  };
  const std::string in_force =
      policy_of("rotated", json::array({key("ROTATE_FAILED", "failed"), key("ENABLED", "in-force")}));
  EXPECT_THAT(in_force, HasSubstr("key/in-force"));
  EXPECT_THAT(in_force, Not(HasSubstr("key/failed")));
  EXPECT_THAT(policy_of("revoked", json::array({key("REVOKED", "revoked")})), HasSubstr("key/revoked"));
}

TEST_F(AccessCommandsTest, APolicyNamesThePrincipalAndTheCommands) {
  api_.On("GET /api/v1/organization", {{"id", "o"},
                                       {"cockroach_cloud_service_principals",
                                        {{"aws", {{"user_arn", "arn:aws:iam::9:user/keyhold"}}},
                                         {"gcp", {{"service_account_email", "k@p.iam.gserviceaccount.com"}}},
                                         {"azure", {{"app_registration_client_id", "3333"}}}}}});
  ASSERT_EQ(Ccloud({"cmek", "policy", "demo"}), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr("Grant to: arn:aws:iam::9:user/keyhold"));
  EXPECT_THAT(Out(), HasSubstr("kms:GenerateDataKey"));
  EXPECT_THAT(Out(), HasSubstr("aws kms put-key-policy --region us-east-1 --key-id KEY_ID"));
  ASSERT_EQ(Ccloud({"cmek", "policy", "demo", "--key", "arn:aws:kms:us-east-1:42:key/it's", "-o", "json"}),
            0);
  const json policy = Json()[0];
  EXPECT_EQ(policy["principal"], "arn:aws:iam::9:user/keyhold");
  EXPECT_EQ(policy["grant"]["Action"],
            json({"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"}));
  EXPECT_THAT(policy["commands"][1].get<std::string>(), HasSubstr("'arn:aws:kms:us-east-1:42:key/it'\\''s'"));
  EXPECT_THAT(policy["commands"][1].get<std::string>(), HasSubstr("arn:aws:iam::42:root"));
  ASSERT_EQ(Ccloud({"cmek", "policy", "demo", "--cloud", "GCP", "--key",
                    "projects/p/locations/us-east1/keyRings/r/cryptoKeys/k"}),
            0);
  EXPECT_THAT(
      Out(),
      HasSubstr("gcloud kms keys add-iam-policy-binding 'k' --project 'p' --location 'us-east1' --keyring 'r'"
                " --member 'serviceAccount:k@p.iam.gserviceaccount.com'"
                " --role roles/cloudkms.cryptoKeyEncrypterDecrypter"));
  ASSERT_EQ(
      Ccloud({"cmek", "policy", "demo", "--cloud", "AZURE", "--key", "https://v1.vault.azure.net/keys/k"}),
      0);
  EXPECT_THAT(
      Out(),
      HasSubstr("az keyvault set-policy --name 'v1' --spn '3333' --key-permissions get wrapKey unwrapKey"));
}

TEST_F(AccessCommandsTest, AClustersGraceIsSetAndShown) {
  json info = {{"status", "ENABLED"}, {"region_infos", json::array()}};
  info["policy"] = {{"unreachable", "serve:1h"}, {"is_default", false}};
  api_.On("PUT " + kPath + "/cmek/policy", info);
  ASSERT_EQ(Ccloud({"cluster", "cmek", "policy", "set", "demo", "--unreachable", "serve:1h"}), 0) << Err();
  EXPECT_EQ(api_.Changes().back().body, (json{{"unreachable", "serve:1h"}}));
  EXPECT_THAT(Out(), HasSubstr("KMS Unreachable: serve on for 1h, then lock\n"));
  info["policy"] = {{"unreachable", "lock"}, {"is_default", true}};
  json cluster = TestCluster("other", "ENABLED");
  cluster["id"] = "22222222-2222-3333-4444-555555555555";
  cluster["cmek_config"] = info;
  api_.AddCluster(cluster);
  ASSERT_EQ(Ccloud({"cluster", "info", "other"}), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr("kms unreachable: lock (the server's default)"));
  EXPECT_EQ(Ccloud({"cluster", "cmek", "policy", "set", "demo"}), 2) << "what is to be set is missing";
}

TEST_F(AccessCommandsTest, AMissingPrincipalIsSaid) {
  api_.On("GET /api/v1/organization", {{"id", "o"}});
  EXPECT_EQ(Ccloud({"cmek", "policy", "demo"}), 1);
  EXPECT_THAT(Err(), HasSubstr("ccloud organization get"));
}

TEST_F(AccessCommandsTest, RegionsAreAddedWithTheirKeys) {
  api_.On("PATCH " + kPath, TestCluster("demo", "ENABLED"));
  const std::string spec = R"({"type":"AWS_KMS","uri":"arn:aws:kms:eu-west-1:1:key/b"})";
  ASSERT_EQ(Ccloud({"cluster", "update", "demo", "us-east-1", "eu-west-1", "--cmek-key-spec", spec}), 0)
      << Err();
  ASSERT_EQ(api_.Changes().size(), 1U) << "one call";
  const json dedicated = api_.Changes().back().body["dedicated"];
  EXPECT_EQ(dedicated["region_nodes"], (json{{"us-east-1", 1}, {"eu-west-1", 1}}));
  ASSERT_EQ(dedicated["cmek_region_specs"].size(), 1U);
  EXPECT_EQ(dedicated["cmek_region_specs"][0]["region"], "eu-west-1");
}

TEST_F(AccessCommandsTest, LabelsAreAddedAndTakenAway) {
  json cluster = TestCluster("labelled");
  cluster["id"] = "22222222-2222-3333-4444-555555555555";
  cluster["labels"] = {{"a", "1"}, {"b", "2"}};
  api_.AddCluster(cluster);
  api_.On("PATCH /api/v1/clusters/22222222-2222-3333-4444-555555555555", cluster);
  ASSERT_EQ(Ccloud({"cluster", "update", "labelled", "--label", "a=", "--label", "c=3"}), 0) << Err();
  EXPECT_EQ(api_.Changes().back().body["labels"], (json{{"b", "2"}, {"c", "3"}}));
  EXPECT_EQ(Ccloud({"cluster", "update", "labelled", "--label", "nothing"}), 2);
  ASSERT_EQ(Ccloud({"cluster", "info", "labelled"}), 0);
  EXPECT_THAT(Out(), HasSubstr(" labels: a=1, b=2\n"));
}

TEST_F(AccessCommandsTest, InfoTellsFirstOfALockedRegion) {
  json cluster = TestCluster("demo2", "ENABLED");
  cluster["id"] = "22222222-2222-3333-4444-555555555555";
  cluster["regions"] = {
      {{"name", "us-east-1"}, {"node_count", 1}, {"sql_dns", "127.0.0.1"}, {"sql_port", "1"}},
      {{"name", "eu-west-1"},
       {"node_count", 1},
       {"sql_dns", "127.0.0.1"},
       {"sql_port", "2"},
       {"lock", {{"cause", "KMS_DENIED"}, {"message", "no grant"}, {"since", "2026-11-24T09:00:00Z"}}}}};
  api_.AddCluster(cluster);
  ASSERT_EQ(Ccloud({"cluster", "info", "demo2"}), 0) << Err();
  EXPECT_THAT(
      Out(), StartsWith("Region eu-west-1 is LOCKED, the others serve: no grant\n cause: KMS_DENIED\n since: "
                        "2026-11-24 09:00:00Z\n what to do: restore"));
  EXPECT_THAT(Out(), HasSubstr("  us-east-1: 1, SQL at 127.0.0.1:1\n"));
  EXPECT_THAT(Out(), HasSubstr("  eu-west-1: 1, SQL at 127.0.0.1:2, LOCKED\n"));
}

TEST_F(AccessCommandsTest, ARegionsConnectionIsAskedFor) {
  api_.On("GET " + kPath + "/connection-string",
          {{"connection_string", "postgresql://h:2/defaultdb"}, {"params", json::object()}});
  ASSERT_EQ(Ccloud({"cluster", "connection-string", "demo", "--region", "eu-west-1"}), 0) << Err();
  EXPECT_THAT(api_.All().back().target, HasSubstr("&region=eu-west-1"));
}

TEST_F(AccessCommandsTest, AServerThatIsAskedTooOftenIsAskedAgain) {
  api_.On("GET /api/v1/organization", {{"code", 8}, {"message", "rate limit exceeded"}}, 429);
  api_.On("GET /api/v1/organization", {{"code", 8}, {"message", "rate limit exceeded"}}, 429);
  api_.On("GET /api/v1/organization", {{"id", "o"}, {"name", "Acme"}});
  ASSERT_EQ(Ccloud({"organization", "get"}), 0) << Err();
  EXPECT_EQ(pauses_, 2);
  api_.On("GET /api/v1/cluster-versions", {{"code", 8}, {"message", "rate limit exceeded"}}, 429);
  EXPECT_EQ(Ccloud({"cluster", "versions"}), 1);
  EXPECT_THAT(Err(), HasSubstr("rate limit exceeded"));
}

TEST_F(AccessCommandsTest, WaitingIsOneLineWhereThereIsNoTerminal) {
  Waited(false);
  EXPECT_EQ(Err(), "∙∙∙ Creating cluster...\n∙∙∙ Waiting for the cluster...\n");
}

TEST_F(AccessCommandsTest, WaitingIsALiveLineOnATerminal) {
  Waited(true);
  EXPECT_THAT(Err(), HasSubstr("Waiting for the cluster: CREATING, 0 s...\r\x1b[K"));
  EXPECT_THAT(Err(), ::testing::EndsWith("\r\x1b[K"));
  EXPECT_EQ(ErrLines(), 0);
  EXPECT_THAT(Out(), Not(HasSubstr("\x1b")));
}

// What src/gateway/front.cc tells a client whose address is not on the list.
TEST_F(AccessCommandsTest, TheGatewaysHintIsACommandThatThereIs) {
  api_.On("POST " + kPath + "/networking/allowlist",
          {{"cidr_ip", "203.0.113.7"}, {"cidr_mask", 32}, {"name", ""}, {"sql", true}, {"ui", false}});
  ASSERT_EQ(Ccloud({"cluster", "networking", "allowlist", "create", "demo", "203.0.113.7/32", "--sql"}), 0)
      << Err();
}

}  // namespace
}  // namespace keyhold::cli
