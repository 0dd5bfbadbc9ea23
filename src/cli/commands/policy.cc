// `ccloud cmek policy`: who is to be granted what on a key, and the commands that grant it.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/cmek.h"
#include "cli/commands/groups.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

// What is printed, and with -o json is the answer: {"cloud","principal","grant",...,"commands"}.
struct Policy {
  std::string principal;
  json grant;  // the statement, role or access policy
  std::vector<std::string> commands;
};

// A word of a shell's command line, whatever is in it.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

StatusOr<std::string> PrincipalOf(const json& organization, const char* cloud, const char* field) {
  const json principals = organization.value("cockroach_cloud_service_principals", json::object());
  const std::string principal = Text(principals.value(cloud, json::object()), field);
  if (!principal.empty()) return principal;
  return Error(Cause::kUnavailable, absl::StrCat("the server does not name its principal in this cloud; "
                                                 "`ccloud organization get` shows those that it has"));
}

// AccountId of arn:aws:kms:REGION:ACCOUNT:key/ID.
std::string AwsAccountOf(const std::string& key) {
  const std::vector<std::string> parts = absl::StrSplit(key, ':');
  return parts.size() > 4 ? parts[4] : "CUSTOMER_ACCOUNT";
}

// The key's own account keeps its rights: without that statement the key would have no administrator.
StatusOr<Policy> AwsPolicy(const json& organization, const std::string& region, const std::string& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string principal, PrincipalOf(organization, "aws", "user_arn"));
  const json statement = {
      {"Sid", "KeyholdCMEK"},
      {"Effect", "Allow"},
      {"Principal", {{"AWS", principal}}},
      {"Action", {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"}},
      {"Resource", "*"}};
  const json owner = {{"Sid", "KeyAccount"},
                      {"Effect", "Allow"},
                      {"Principal", {{"AWS", absl::StrCat("arn:aws:iam::", AwsAccountOf(key), ":root")}}},
                      {"Action", "kms:*"},
                      {"Resource", "*"}};
  const json document = {{"Version", "2012-10-17"}, {"Statement", {owner, statement}}};
  const std::string name = key.empty() ? "KEY_ID" : Quoted(key);
  return Policy{principal,
                statement,
                {absl::StrCat("aws kms get-key-policy --region ", region, " --key-id ", name,
                              " --policy-name default --query Policy --output text"),
                 absl::StrCat("aws kms put-key-policy --region ", region, " --key-id ", name,
                              " --policy-name default --policy ", Quoted(document.dump()))}};
}

struct GcpKey {
  std::string project = "PROJECT", location, ring = "KEY_RING", name = "KEY";
};

// projects/P/locations/L/keyRings/R/cryptoKeys/K
GcpKey ParseGcpKey(const std::string& key, const std::string& region) {
  GcpKey parsed;
  parsed.location = region;
  const std::vector<std::string> parts = absl::StrSplit(key, '/');
  if (parts.size() < 8) return parsed;
  return {parts[1], parts[3], parts[5], parts[7]};
}

StatusOr<Policy> GcpPolicy(const json& organization, const std::string& region, const std::string& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string principal,
                           PrincipalOf(organization, "gcp", "service_account_email"));
  const GcpKey parsed = ParseGcpKey(key, region);
  const std::string member = "serviceAccount:" + principal;
  constexpr char kRole[] = "roles/cloudkms.cryptoKeyEncrypterDecrypter";
  return Policy{principal,
                {{"role", kRole}, {"member", member}},
                {absl::StrCat("gcloud kms keys add-iam-policy-binding ", Quoted(parsed.name), " --project ",
                              Quoted(parsed.project), " --location ", Quoted(parsed.location), " --keyring ",
                              Quoted(parsed.ring), " --member ", Quoted(member), " --role ", kRole)}};
}

// VAULT of https://VAULT.vault.azure.net/keys/NAME/VERSION
std::string VaultOf(const std::string& key) {
  const std::vector<std::string> parts = absl::StrSplit(key, absl::ByAnyChar("/."));
  return parts.size() > 2 && !parts[2].empty() ? parts[2] : "VAULT";
}

StatusOr<Policy> AzurePolicy(const json& organization, const std::string&, const std::string& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string principal,
                           PrincipalOf(organization, "azure", "app_registration_client_id"));
  return Policy{principal,
                {{"key_permissions", {"get", "wrapKey", "unwrapKey"}}},
                {absl::StrCat("az keyvault set-policy --name ", Quoted(VaultOf(key)), " --spn ",
                              Quoted(principal), " --key-permissions get wrapKey unwrapKey")}};
}

StatusOr<Policy> PolicyOf(const json& organization, const std::string& cloud, const std::string& region,
                          const std::string& key) {
  if (cloud == "GCP") return GcpPolicy(organization, region, key);
  if (cloud == "AZURE") return AzurePolicy(organization, region, key);
  return AwsPolicy(organization, region, key);
}

// The key in force, so that what is printed fits what there is; where none is, the one of last.
std::string KeyOf(const json& cluster, const std::string& region) {
  for (const json& info : cluster.value("cmek_config", json::object()).value("region_infos", json::array())) {
    if (Text(info, "region") != region) continue;
    json spec = KeySpecInForce(info);
    const json keys = info.value("key_infos", json::array());
    if (spec.is_null() && !keys.empty()) spec = keys.front().value("spec", json::object());
    return spec.is_null() ? "" : Text(spec, "uri");
  }
  return "";
}

void Print(Output& output, const json& cluster, const std::string& region, const std::string& key,
           const Policy& policy) {
  output.Line("Region " + region + (key.empty() ? ":" : ", key " + key + ":"));
  output.Field("Grant to", policy.principal, 1);
  output.Line("  What it needs, and no more:");
  for (const absl::string_view line : absl::StrSplit(policy.grant.dump(2), '\n')) {
    output.Line(absl::StrCat("    ", line));
  }
  output.Line("  Commands:");
  for (const std::string& command : policy.commands) output.Line("    " + command);
  output.Line("  Then:");
  output.Line(absl::StrCat("    ccloud cluster cmek ", key.empty() ? "enable " : "rotate ",
                           Text(cluster, "name"), " --cmek-key-spec SPEC"));
}

Status Show(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("CLUSTER")));
  KEYHOLD_ASSIGN_OR_RETURN(const json organization, api.Get("/organization"));
  const std::string cloud = arguments.Text("--cloud", Text(cluster, "cloud_provider"));
  json answer = json::array();
  for (const json& region : cluster.value("regions", json::array())) {
    const std::string name = Text(region, "name");
    const std::string key = arguments.Text("--key", KeyOf(cluster, name));
    KEYHOLD_ASSIGN_OR_RETURN(const Policy policy, PolicyOf(organization, cloud, name, key));
    if (!session.output().json()) Print(session.output(), cluster, name, key, policy);
    answer.push_back({{"region", name},
                      {"cloud", cloud},
                      {"key_uri", key},
                      {"principal", policy.principal},
                      {"grant", policy.grant},
                      {"commands", policy.commands}});
  }
  if (session.output().json()) session.output().Json(answer);
  return OkStatus();
}

}  // namespace

std::vector<Command> PolicyCommands() {
  return {{"cmek policy",
           "Show what a key must grant to Keyhold, and the commands that grant it",
           "ccloud cmek policy demo\nccloud cmek policy demo --key "
           "arn:aws:kms:us-east-1:111122223333:key/1234abcd",
           {{"CLUSTER", "Name or id of the cluster"}},
           {{"--cloud", "AWS|GCP|AZURE", "For a key in this cloud (default: the cluster's)"},
            {"--key", "URI", "The key (default: the one in force, or a placeholder)"}},
           Show}};
}

}  // namespace keyhold::cli
