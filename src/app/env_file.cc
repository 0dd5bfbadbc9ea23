#include "app/env_file.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "app/host_dir.h"

namespace keyhold::app {
namespace {

using nlohmann::json;

constexpr char kNoProxy[] = "127.0.0.1,localhost,::1";

// One word for any POSIX shell.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// What customer.json or principals.json has for `cloud`.
StatusOr<json> PartOf(const std::string& path, const char* cloud) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const json all = json::parse(text, nullptr, false);
  if (!all.is_object() || !all.contains(cloud) || !all[cloud].is_object()) {
    return Error(Cause::kCorrupt, absl::StrCat(path, " is damaged: it has no part \"", cloud, "\""));
  }
  return all[cloud];
}

StatusOr<std::string> Field(const json& object, const char* name, const std::string& path) {
  const auto found = object.find(name);
  if (found != object.end() && found->is_string()) return found->get<std::string>();
  return Error(Cause::kCorrupt, absl::StrCat(path, " has no ", name));
}

using Variables = std::vector<std::pair<const char*, std::string>>;

std::string CustomerPath(const EnvFacts& facts) { return facts.dir + "/localcloud/customer.json"; }
std::string PrincipalsPath(const std::string& dir) { return dir + "/localcloud/principals.json"; }
std::string CaPath(const EnvFacts& facts) { return facts.dir + "/localcloud/ca.pem"; }

Status AddAws(const EnvFacts& facts, Variables& out) {
  const std::string path = CustomerPath(facts);
  KEYHOLD_ASSIGN_OR_RETURN(const json customer, PartOf(path, "aws"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string key_id, Field(customer, "access_key_id", path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string secret, Field(customer, "secret_access_key", path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string region, Field(customer, "region", path));
  KEYHOLD_ASSIGN_OR_RETURN(const json principals, PartOf(PrincipalsPath(facts.dir), "aws"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string principal,
                           Field(principals, "principal_arn", PrincipalsPath(facts.dir)));
  const Variables variables = {{"AWS_CA_BUNDLE", CaPath(facts)},
                               {"AWS_ACCESS_KEY_ID", key_id},
                               {"AWS_SECRET_ACCESS_KEY", secret},
                               {"AWS_DEFAULT_REGION", region},
                               {"AWS_REGION", region},
                               {"AWS_EC2_METADATA_DISABLED", "true"},
                               {"AWS_PAGER", ""},
                               {"KEYHOLD_AWS_PRINCIPAL_ARN", principal}};
  out.insert(out.end(), variables.begin(), variables.end());
  return OkStatus();
}

Status AddGcp(const EnvFacts& facts, Variables& out) {
  const std::string path = CustomerPath(facts);
  KEYHOLD_ASSIGN_OR_RETURN(const json customer, PartOf(path, "gcp"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string project, Field(customer, "project", path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string key_file, Field(customer, "key_file", path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string token_file, Field(customer, "access_token_file", path));
  KEYHOLD_ASSIGN_OR_RETURN(const json principals, PartOf(PrincipalsPath(facts.dir), "gcp"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string account,
                           Field(principals, "service_account", PrincipalsPath(facts.dir)));
  const Variables variables = {{"CLOUDSDK_CORE_PROJECT", project},
                               {"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", token_file},
                               // Not the user's own gcloud configuration, which may name another account.
                               {"CLOUDSDK_CONFIG", facts.dir + "/localcloud/customer/gcloud"},
                               {"CLOUDSDK_CORE_DISABLE_PROMPTS", "true"},
                               {"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", CaPath(facts)},
                               {"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true"},
                               {"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true"},
                               {"GOOGLE_APPLICATION_CREDENTIALS", key_file},
                               {"GOOGLE_CLOUD_PROJECT", project},
                               {"NO_GCE_CHECK", "true"},
                               {"KEYHOLD_GCP_SERVICE_ACCOUNT", account}};
  out.insert(out.end(), variables.begin(), variables.end());
  return OkStatus();
}

// The customer's Azure: application, subscription and vault, and whom to grant access to.
Status AddAzure(const EnvFacts& facts, Variables& out) {
  struct Row {
    const char* variable;
    const char* field;
  };
  constexpr Row kCustomer[] = {{"AZURE_TENANT_ID", "tenant_id"},
                               {"AZURE_CLIENT_ID", "client_id"},
                               {"AZURE_CLIENT_SECRET", "client_secret"},
                               {"AZURE_SUBSCRIPTION_ID", "subscription_id"},
                               {"KEYHOLD_AZURE_RESOURCE_GROUP", "resource_group"},
                               {"KEYHOLD_AZURE_VAULT", "vault"}};
  const std::string path = CustomerPath(facts);
  KEYHOLD_ASSIGN_OR_RETURN(const json customer, PartOf(path, "azure"));
  for (const Row& row : kCustomer) {
    KEYHOLD_ASSIGN_OR_RETURN(std::string value, Field(customer, row.field, path));
    out.emplace_back(row.variable, std::move(value));
  }
  const std::string principals = PrincipalsPath(facts.dir);
  KEYHOLD_ASSIGN_OR_RETURN(const json platform, PartOf(principals, "azure"));
  KEYHOLD_ASSIGN_OR_RETURN(std::string principal, Field(platform, "principal_id", principals));
  out.emplace_back("KEYHOLD_AZURE_PRINCIPAL_ID", std::move(principal));
  return OkStatus();
}

}  // namespace

std::string Reachable(const std::string& address) {
  if (absl::StartsWith(address, "0.0.0.0:")) return "127.0.0.1" + address.substr(7);
  if (absl::StartsWith(address, "[::]:")) return "[::1]" + address.substr(4);
  return address;
}

StatusOr<std::map<std::string, std::string>> PlatformEnvironment(const EnvFacts& facts) {
  const std::string path = PrincipalsPath(facts.dir);
  KEYHOLD_ASSIGN_OR_RETURN(const json azure, PartOf(path, "azure"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string tenant, Field(azure, "tenant_id", path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string client, Field(azure, "client_id", path));
  std::map<std::string, std::string> variables = {
      {"AZURE_TENANT_ID", tenant},
      {"AZURE_CLIENT_ID", client},
      {"AZURE_CLIENT_CERTIFICATE_PATH", facts.dir + "/localcloud/platform/azure-client.pem"},
      {"AWS_SHARED_CREDENTIALS_FILE", facts.dir + "/localcloud/platform/aws-credentials"},
      {"GOOGLE_APPLICATION_CREDENTIALS", facts.dir + "/localcloud/platform/gcp-key.json"},
      {"AWS_CA_BUNDLE", facts.dir + "/localcloud/ca.pem"},
      {"HTTPS_PROXY", "http://" + Reachable(facts.localcloud)},
      {"NO_PROXY", kNoProxy}};
  return variables;
}

StatusOr<PlatformPrincipals> ReadPlatformPrincipals(const std::string& dir) {
  const std::string path = PrincipalsPath(dir);
  PlatformPrincipals out;
  KEYHOLD_ASSIGN_OR_RETURN(const json aws, PartOf(path, "aws"));
  KEYHOLD_ASSIGN_OR_RETURN(out.aws_arn, Field(aws, "principal_arn", path));
  KEYHOLD_ASSIGN_OR_RETURN(const json gcp, PartOf(path, "gcp"));
  KEYHOLD_ASSIGN_OR_RETURN(out.gcp_service_account, Field(gcp, "service_account", path));
  KEYHOLD_ASSIGN_OR_RETURN(const json azure, PartOf(path, "azure"));
  KEYHOLD_ASSIGN_OR_RETURN(out.azure_client_id, Field(azure, "client_id", path));
  return out;
}

StatusOr<std::string> EnvText(const EnvFacts& facts) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string api_key, ReadFile(facts.dir + "/server/api-key"));
  while (!api_key.empty() && std::isspace(static_cast<unsigned char>(api_key.back()))) api_key.pop_back();
  const std::string proxy = "http://" + Reachable(facts.localcloud);
  Variables variables = {{"COCKROACH_SERVER", "http://" + Reachable(facts.api)},
                         {"COCKROACH_API_KEY", api_key},
                         {"HTTPS_PROXY", proxy},
                         {"https_proxy", proxy},
                         {"NO_PROXY", kNoProxy},
                         {"no_proxy", kNoProxy},
                         {"REQUESTS_CA_BUNDLE", CaPath(facts)},
                         {"CURL_CA_BUNDLE", CaPath(facts)},
                         {"NODE_EXTRA_CA_CERTS", CaPath(facts)}};
  KEYHOLD_RETURN_IF_ERROR(AddAws(facts, variables));
  KEYHOLD_RETURN_IF_ERROR(AddGcp(facts, variables));
  KEYHOLD_RETURN_IF_ERROR(AddAzure(facts, variables));
  std::string text =
      "# Written by keyhold start: source it. It has secrets of this trial: keep it to yourself.\n";
  for (const auto& [name, value] : variables)
    absl::StrAppend(&text, "export ", name, "=", Quoted(value), "\n");
  absl::StrAppend(&text, "unset AWS_SESSION_TOKEN AWS_PROFILE AWS_SHARED_CREDENTIALS_FILE\n",
                  "case \":$PATH:\" in *:", Quoted(facts.bin_dir),
                  ":*) ;; *) export PATH=", Quoted(facts.bin_dir), ":\"$PATH\" ;; esac\n",
                  "unset AZURE_CLIENT_CERTIFICATE_PATH AZURE_FEDERATED_TOKEN_FILE\n");
  return text;
}

}  // namespace keyhold::app
