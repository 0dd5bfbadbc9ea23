#include "cli/cluster_view.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/cmek.h"
#include "cli/recovery_view.h"
#include "cli/reencryption_view.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

void PrintTrouble(Output& output, const json& cluster, const char* field, const char* headline) {
  const json trouble = cluster.value(field, json());
  if (!trouble.is_object()) return;
  output.Line(absl::StrCat(headline, ": ", Text(trouble, "message")));
  output.Field("cause", Text(trouble, "cause"));
  output.Field("since", ShortTime(Text(trouble, "since")));
  if (!Text(trouble, "locks_at").empty()) output.Field("locks at", ShortTime(Text(trouble, "locks_at")));
  output.Field("what to do",
               NextStep(Text(trouble, "cause"), Text(cluster, "name"), Text(cluster, "cloud_provider")));
  output.Line("");
}

void PrintHardware(Output& output, const json& cluster) {
  const json config = cluster.value("config", json::object()).value("dedicated", json());
  if (!config.is_object()) return;
  output.Line(" hardware per node:");
  output.Line(absl::StrCat("  ", Text(config, "num_virtual_cpus"), " vCPU"));
  output.Line(absl::StrCat("  ", Text(config, "storage_gib"), " GiB disk"));
}

// HOST:PORT where the region's SQL is, where there are several.
std::string SqlText(const json& region) {
  if (Text(region, "sql_port").empty()) return "";
  return absl::StrCat(", SQL at ", Text(region, "sql_dns"), ":", Text(region, "sql_port"));
}

void PrintRegions(Output& output, const json& cluster) {
  const json regions = cluster.value("regions", json::array());
  output.Line(" region nodes:");
  for (const json& region : regions) {
    const bool locked = region.contains("lock");
    output.Field(Text(region, "name"),
                 absl::StrCat(Text(region, "node_count"), regions.size() > 1 ? SqlText(region) : "",
                              locked ? ", LOCKED" : ""),
                 1);
  }
}

// The regions that are locked while the cluster is not.
void PrintRegionLocks(Output& output, const json& cluster) {
  if (cluster.contains("lock")) return;
  for (const json& region : cluster.value("regions", json::array())) {
    const json lock = region.value("lock", json());
    if (!lock.is_object()) continue;
    output.Line(absl::StrCat("Region ", Text(region, "name"),
                             " is LOCKED, the others serve: ", Text(lock, "message")));
    output.Field("cause", Text(lock, "cause"));
    output.Field("since", ShortTime(Text(lock, "since")));
    output.Field("what to do",
                 NextStep(Text(lock, "cause"), Text(cluster, "name"), Text(cluster, "cloud_provider")));
    output.Line("");
  }
}

void PrintLabels(Output& output, const json& cluster) {
  std::string text;
  const json labels = cluster.value("labels", json::object());
  for (const auto& label : labels.items()) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", label.key(), "=",
                    label.value().is_string() ? label.value().get<std::string>() : label.value().dump());
  }
  if (!text.empty()) output.Field("labels", text);
}

void PrintKeys(Output& output, const json& cluster) {
  const json cmek = cluster.value("cmek_config", json::object());
  output.Field("cmek status", Text(cmek, "status"));
  if (cmek.contains("policy")) output.Field("kms unreachable", UnreachableText(cmek));
  for (const std::string& line : RecoveryLines(cmek.value("recovery", json()))) {
    output.Field("recovery key", line);
  }
  const json spec = cmek.value("key_spec", json());
  if (!spec.is_object()) return;
  output.Field("cmek key", Text(spec, "uri"));
  if (!Text(spec, "auth_principal").empty())
    output.Field("cmek auth principal", Text(spec, "auth_principal"));
  for (const json& region : cmek.value("region_infos", json::array())) {
    const std::string line = ReencryptionLine(region.value("reencryption", json()));
    if (!line.empty()) output.Field(absl::StrCat("re-encryption in ", Text(region, "region")), line);
  }
}

}  // namespace

std::string NextStep(const std::string& cause, const std::string& name, const std::string& cloud) {
  const std::string returns = "; the cluster then returns by itself";
  const bool gcp = cloud == "GCP";
  if (cause == "KMS_DISABLED") {
    return absl::StrCat(
        "enable the key again (",
        gcp ? "gcloud kms keys versions enable VERSION ..." : "aws kms enable-key --key-id KEY", ")",
        returns);
  }
  if (cause == "KMS_DENIED") {
    return absl::StrCat("restore the key's policy or grant (",
                        gcp ? "gcloud kms keys add-iam-policy-binding KEY ..." : "aws kms put-key-policy ...",
                        ")", returns);
  }
  if (cause == "KMS_PENDING_DELETION") {
    return absl::StrCat("cancel the deletion before it happens (",
                        gcp ? "gcloud kms keys versions restore, then enable"
                            : "aws kms cancel-key-deletion, then enable-key",
                        ")", returns);
  }
  if (cause == "KMS_KEY_NOT_FOUND") return "if the key was destroyed, the data cannot be recovered";
  if (cause == "REVOKED")
    return absl::StrCat("ccloud cluster cmek rotate ", name,
                        " --cmek-key-spec SPEC brings it back with a usable key");
  if (cause == "KMS_UNREACHABLE" || cause == "KMS_THROTTLED") return "see that the KMS answers" + returns;
  if (cause == "KMS_BAD_CREDENTIALS") return "give the platform valid credentials for the KMS" + returns;
  if (cause == "RECOVERY_USED") {
    return absl::StrCat("make another recovery key (ccloud cluster cmek recovery create ", name,
                        " --replace ...), or delete it (ccloud cluster cmek recovery delete ", name,
                        "); then rotate: ccloud cluster cmek rotate ", name);
  }
  return absl::StrCat("see the node's log; ccloud audit list shows what was done to ", name);
}

void PrintCluster(Output& output, const json& cluster) {
  PrintTrouble(output, cluster, "lock", "This cluster is LOCKED");
  PrintRegionLocks(output, cluster);
  const bool locks = !Text(cluster.value("warning", json::object()), "locks_at").empty();
  PrintTrouble(output, cluster, "warning", locks ? "This cluster will lock soon" : "Warning");
  output.Field("name", Text(cluster, "name"));
  output.Field("id", Text(cluster, "id"));
  output.Field("cockroach version", Text(cluster, "cockroach_version"));
  output.Field("cloud", Text(cluster, "cloud_provider"));
  output.Field("plan type", Text(cluster, "plan"));
  output.Field("state", Text(cluster, "state"));
  output.Field("advanced security add-on", cluster.value("advanced_security_add_on", false) ? "on" : "off");
  if (Text(cluster, "delete_protection") == "ENABLED") output.Field("delete protection", "on");
  PrintLabels(output, cluster);
  PrintKeys(output, cluster);
  PrintHardware(output, cluster);
  PrintRegions(output, cluster);
}

}  // namespace keyhold::cli
