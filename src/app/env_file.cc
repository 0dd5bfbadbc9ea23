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

StatusOr<json> AwsPart(const std::string& path) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const json all = json::parse(text, nullptr, false);
  if (!all.is_object() || !all.contains("aws") || !all["aws"].is_object()) {
    return Error(Cause::kCorrupt, absl::StrCat(path, " is damaged"));
  }
  return all["aws"];
}

StatusOr<std::string> Field(const json& object, const char* name, const std::string& path) {
  const auto found = object.find(name);
  if (found != object.end() && found->is_string()) return found->get<std::string>();
  return Error(Cause::kCorrupt, absl::StrCat(path, " has no ", name));
}

}  // namespace

std::string Reachable(const std::string& address) {
  if (absl::StartsWith(address, "0.0.0.0:")) return "127.0.0.1" + address.substr(7);
  if (absl::StartsWith(address, "[::]:")) return "[::1]" + address.substr(4);
  return address;
}

std::map<std::string, std::string> PlatformEnvironment(const EnvFacts& facts) {
  return {{"AWS_SHARED_CREDENTIALS_FILE", facts.dir + "/localcloud/platform/aws-credentials"},
          {"AWS_CA_BUNDLE", facts.dir + "/localcloud/ca.pem"},
          {"HTTPS_PROXY", "http://" + Reachable(facts.localcloud)},
          {"NO_PROXY", kNoProxy}};
}

StatusOr<std::string> PlatformPrincipal(const std::string& dir) {
  const std::string path = dir + "/localcloud/principals.json";
  KEYHOLD_ASSIGN_OR_RETURN(const json aws, AwsPart(path));
  return Field(aws, "principal_arn", path);
}

StatusOr<std::string> EnvText(const EnvFacts& facts) {
  const std::string customer_path = facts.dir + "/localcloud/customer.json";
  KEYHOLD_ASSIGN_OR_RETURN(const json customer, AwsPart(customer_path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string key_id, Field(customer, "access_key_id", customer_path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string secret, Field(customer, "secret_access_key", customer_path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string region, Field(customer, "region", customer_path));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string principal, PlatformPrincipal(facts.dir));
  KEYHOLD_ASSIGN_OR_RETURN(std::string api_key, ReadFile(facts.dir + "/server/api-key"));
  while (!api_key.empty() && std::isspace(static_cast<unsigned char>(api_key.back()))) api_key.pop_back();
  const std::string proxy = "http://" + Reachable(facts.localcloud);
  const std::string ca = facts.dir + "/localcloud/ca.pem";
  const std::vector<std::pair<const char*, std::string>> variables = {
      {"COCKROACH_SERVER", "http://" + Reachable(facts.api)},
      {"COCKROACH_API_KEY", api_key},
      {"HTTPS_PROXY", proxy},
      {"https_proxy", proxy},
      {"NO_PROXY", kNoProxy},
      {"no_proxy", kNoProxy},
      {"AWS_CA_BUNDLE", ca},
      {"NODE_EXTRA_CA_CERTS", ca},
      {"AWS_ACCESS_KEY_ID", key_id},
      {"AWS_SECRET_ACCESS_KEY", secret},
      {"AWS_DEFAULT_REGION", region},
      {"AWS_REGION", region},
      {"AWS_EC2_METADATA_DISABLED", "true"},
      {"AWS_PAGER", ""},
      {"KEYHOLD_AWS_PRINCIPAL_ARN", principal},
  };
  std::string text =
      "# Written by keyhold start: source it. It has secrets of this trial: keep it to yourself.\n";
  for (const auto& [name, value] : variables)
    absl::StrAppend(&text, "export ", name, "=", Quoted(value), "\n");
  absl::StrAppend(&text, "unset AWS_SESSION_TOKEN AWS_PROFILE AWS_SHARED_CREDENTIALS_FILE\n",
                  "case \":$PATH:\" in *:", Quoted(facts.bin_dir),
                  ":*) ;; *) export PATH=", Quoted(facts.bin_dir), ":\"$PATH\" ;; esac\n",
                  "# CLOUDSDK_*, GOOGLE_APPLICATION_CREDENTIALS and AZURE_* are not here: the local cloud "
                  "has no GCP and\n"
                  "# Azure part yet.\n");
  return text;
}

}  // namespace keyhold::app
