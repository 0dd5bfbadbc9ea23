#include "cli/cmek.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/recovery_view.h"
#include "cli/reencryption_view.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

bool IsRunning(const json& info) { return absl::EndsWith(Text(info, "status"), "ING"); }

// The newest key's message, for the user.
std::string UserMessage(const json& info) {
  for (const json& region : info.value("region_infos", json::array())) {
    for (const json& key : region.value("key_infos", json::array())) {
      if (!Text(key, "user_message").empty()) return Text(key, "user_message");
    }
  }
  return "the server does not say why";
}

Status Outcome(const json& info) {
  const std::string status = Text(info, "status");
  if (!absl::EndsWith(status, "_FAILED")) return OkStatus();
  return Error(Cause::kFailedPrecondition, absl::StrCat("CMEK ended in ", status, ": ", UserMessage(info)));
}

StatusOr<json> Finish(Session& session, const ApiClient& api, const std::string& path, json info, bool wait) {
  if (!wait) return info;
  const std::string what = absl::StrCat("CMEK is ", Text(info, "status"), ", waiting for its end");
  if (IsRunning(info)) {
    const auto ended = [](const json& now) { return !IsRunning(now); };
    KEYHOLD_ASSIGN_OR_RETURN(info, session.Await(api, path, ended, what, "status"));
  }
  KEYHOLD_RETURN_IF_ERROR(Outcome(info));
  return info;
}

void PrintKey(Output& output, const json& key) {
  const json spec = key.value("spec", json::object());
  output.Field("Key URI", Text(spec, "uri"), 3);
  const json version = key.value("version", json::object());
  if (!Text(version, "name").empty()) output.Field("Version", Text(version, "name"), 3);
  output.Field("Status", Text(key, "status"), 3);
  if (!Text(spec, "auth_principal").empty()) output.Field("Auth Principal", Text(spec, "auth_principal"), 3);
  if (!Text(key, "created_at").empty()) output.Field("Since", ShortTime(Text(key, "created_at")), 3);
  if (key.value("may_be_destroyed", false)) {
    output.Field("May be destroyed", "yes", 3);
  } else if (version.value("may_be_destroyed", false)) {
    output.Field("Version may be destroyed", "yes", 3);
  }
  if (!Text(key, "user_message").empty()) output.Field("Message", Text(key, "user_message"), 3);
}

}  // namespace

StatusOr<json> ApplyCmek(Session& session, const ApiClient& api, const json& cluster, const json& body,
                         CmekOperation operation, bool wait) {
  const std::string path = ClusterPath(cluster) + "/cmek";
  if (operation == CmekOperation::kWhicheverFits) {
    const StatusOr<json> info = api.Get(path);
    const std::string status = info.ok() ? Text(*info, "status") : "DISABLED";
    const bool enable = status == "DISABLED" || status == "ENABLE_FAILED";
    operation = enable ? CmekOperation::kEnable : CmekOperation::kRotate;
  }
  const bool enable = operation == CmekOperation::kEnable;
  session.output().Progress(enable ? "Enabling CMEK" : "Rotating CMEK");
  KEYHOLD_ASSIGN_OR_RETURN(json info, api.Send(enable ? "POST" : "PUT", path, body));
  return Finish(session, api, path, std::move(info), wait);
}

StatusOr<json> RevokeCmek(Session& session, const ApiClient& api, const json& cluster, bool wait) {
  const std::string path = ClusterPath(cluster) + "/cmek";
  session.output().Progress("Revoking CMEK");
  KEYHOLD_ASSIGN_OR_RETURN(json info, api.Send("PATCH", path, {{"action", "REVOKE"}}));
  return Finish(session, api, path, std::move(info), wait);
}

// A rotation that failed stands before it.
json KeySpecInForce(const json& region_info) {
  for (const json& key : region_info.value("key_infos", json::array())) {
    if (Text(key, "status") == "ENABLED") return key.value("spec", json::object());
  }
  return nullptr;
}

json KeysInForce(const json& cluster) {
  json specs = json::array();
  const json config = cluster.value("cmek_config", json::object());
  for (const json& region : config.value("region_infos", json::array())) {
    const json spec = KeySpecInForce(region);
    if (!spec.is_null()) specs.push_back({{"region", Text(region, "region")}, {"key_spec", spec}});
  }
  return {{"region_specs", specs}};
}

std::string UnreachableText(const json& info) {
  const json policy = info.value("policy", json::object());
  const std::string unreachable = Text(policy, "unreachable");
  std::string text =
      unreachable == "lock"
          ? "lock"
          : absl::StrCat("serve on for ", absl::StripPrefix(unreachable, "serve:"), ", then lock");
  if (policy.value("is_default", false)) text += " (the server's default)";
  return text;
}

void PrintCmek(Output& output, const std::string& cluster_name, const json& info) {
  output.Line("Cluster: " + cluster_name);
  output.Line("CMEK Status: " + Text(info, "status"));
  if (info.contains("policy")) output.Line("KMS Unreachable: " + UnreachableText(info));
  for (const std::string& line : RecoveryLines(info.value("recovery", json()))) {
    output.Line("Recovery Key: " + line);
  }
  const json regions = info.value("region_infos", json::array());
  if (regions.empty()) return;
  output.Line("");
  output.Line("Region Keys:");
  for (const json& region : regions) {
    output.Field(" Region", Text(region, "region"));
    const std::string reencryption = ReencryptionLine(region.value("reencryption", json()));
    if (!reencryption.empty()) output.Field("Re-encryption", reencryption, 2);
    for (const json& key : region.value("key_infos", json::array())) PrintKey(output, key);
  }
}

}  // namespace keyhold::cli
