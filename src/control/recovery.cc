#include "control/recovery.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "control/audit.h"
#include "control/cmek.h"
#include "crypto/rsa.h"

namespace keyhold::control {
namespace {

using nlohmann::json;

constexpr int64_t kFewestNeeded = 2;
constexpr int64_t kMostShares = 255;

Status Complete(RecoveryKey& key, absl::Time now) {
  const auto parsed = crypto::RsaPublicKey::FromPem(key.public_key);
  if (!parsed.ok()) return Annotate(parsed.status(), "public_key");
  if (key.threshold < kFewestNeeded || key.threshold > key.shares || key.shares > kMostShares) {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("threshold must be 2 to shares, and shares at most 255, not ", key.threshold,
                              " of ", key.shares));
  }
  key.public_key = parsed->Pem();
  key.key_id = parsed->Fingerprint();
  key.created_at = now;
  return OkStatus();
}

json PayloadOf(const std::optional<RecoveryKey>& key) {
  if (!key) return {{"recovery", nullptr}};
  return {{"recovery", {{"threshold", key->threshold}, {"shares", key->shares}}}};
}

std::string UsedAt(const wire::NodeStatus& status) {
  return status.recovery ? status.recovery->used_at : std::string();
}

json UseOf(const Node& node, const wire::NodeStatus& status) {
  const std::string key = status.keys.empty() ? "" : status.keys.front().spec.uri;
  return {{"recovery_used",
           {{"at", UsedAt(status)},
            {"recovery_key_id", status.recovery->key_id},
            {"region", node.region},
            {"node_id", node.id},
            {"key_uri", key}}}};
}

}  // namespace

StatusOr<ClusterView> Cmek::SetRecoveryKey(const Caller& caller, const std::string& id,
                                           std::optional<RecoveryKey> key) {
  Audit audit(core_, caller, "UPDATE_CMEK", PayloadOf(key));
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome(audit.Commit([&](Tables& tables) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(ClusterView view, FindClusterToChange(tables, id));
    audit.About(id, view.cluster.name);
    KEYHOLD_RETURN_IF_ERROR(CheckPlan(view.cluster));
    const absl::Time now = core_.clock.Now();
    if (key) KEYHOLD_RETURN_IF_ERROR(Complete(*key, now));
    view.cluster.recovery = key;
    view.cluster.updated_at = now;
    tables.clusters.Update(view.cluster);
    tables.nodes.BumpGenerations(id);
    return OkStatus();
  })));
  return ReadCluster(core_, id);
}

std::vector<RegionRecovery> RecoveryOf(const ClusterView& view) {
  std::vector<RegionRecovery> regions;
  for (const Region& region : view.regions) {
    RegionRecovery recovery{region.name, view.cluster.recovery.has_value(), "", ""};
    for (const Node& node : view.nodes) {
      if (node.region != region.name) continue;
      const auto& told = node.status.recovery;
      recovery.in_force = recovery.in_force && told && told->key_id == view.cluster.recovery->key_id;
      if (told && !told->key_id.empty()) recovery.sealed_to = told->key_id;
      recovery.used_at = std::max(recovery.used_at, UsedAt(node.status));
    }
    regions.push_back(std::move(recovery));
  }
  return regions;
}

void NoteRecovery(Tables& tables, Core& core, const Node& before, const wire::NodeStatus& status) {
  if (UsedAt(status).empty() || UsedAt(status) == UsedAt(before.status)) return;
  const auto view = tables.clusters.Get(before.cluster_id);
  tables.audit.Append(EventOfNode(core, view->cluster, "UPDATE_CMEK", UseOf(before, status)));
  for (Region region : view->regions) {
    const bool enabled = !status.keys.empty() && status.keys.front().status == "ENABLED";
    if (region.name != before.region || !enabled) continue;
    region.cmek_spec = status.keys.front().spec;
    tables.clusters.UpdateRegion(region);
  }
}

}  // namespace keyhold::control
