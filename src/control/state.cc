#include "control/state.h"

#include <algorithm>
#include <array>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kms/key_spec.h"

namespace keyhold::control {
namespace {

using wire::KeyInfo;
using wire::NodeState;

// From the best to what needs attention most.
constexpr std::array<std::string_view, 11> kBySeverity = {
    "DISABLED", "ENABLED",        "DISABLING",     "ENABLING",      "ROTATING",     "REVOKED",
    "REVOKING", "DISABLE_FAILED", "ENABLE_FAILED", "ROTATE_FAILED", "REVOKE_FAILED"};

size_t Severity(std::string_view status) {
  return std::find(kBySeverity.begin(), kBySeverity.end(), status) - kBySeverity.begin();
}

std::vector<const Node*> NodesOf(const ClusterView& view, const std::string& region) {
  std::vector<const Node*> nodes;
  for (const Node& node : view.nodes) {
    if (node.region == region && node.reported) nodes.push_back(&node);
  }
  return nodes;
}

bool CarriedOut(const ClusterView& view, const Region& region) {
  const auto nodes = NodesOf(view, region.name);
  return region.cmek_generation == 0 ||
         (!nodes.empty() && std::all_of(nodes.begin(), nodes.end(), [&](const Node* node) {
           return node->status.cmek_generation >= region.cmek_generation;
         }));
}

bool LockedByRevoke(const Node& node) {
  return node.status.state == NodeState::kLocked && node.status.lock && node.status.lock->cause == "REVOKED";
}

// The node whose CMEK status needs attention most speaks for its region.
const Node* SpokesmanOf(const std::vector<const Node*>& nodes) {
  const auto worse = [](const Node* a, const Node* b) {
    return Severity(a->status.cmek_status) < Severity(b->status.cmek_status);
  };
  const auto found = std::max_element(nodes.begin(), nodes.end(), worse);
  return found == nodes.end() ? nullptr : *found;
}

// The key that was asked for stands first, though no node has spoken of it yet.
void PrependRequested(const Region& region, std::vector<KeyInfo>& keys) {
  if (!keys.empty() && keys.front().status == "ENABLING" && keys.front().spec == region.cmek_spec) return;
  for (KeyInfo& key : keys) {
    if (key.status == "ENABLED") key.status = "DISABLING";
  }
  const std::string at = Rfc3339(region.cmek_requested_at);
  keys.insert(keys.begin(), KeyInfo{region.cmek_spec, "ENABLING", "", at, at, false, {}});
}

void MarkRevoked(CmekRegion& info, const std::vector<const Node*>& nodes) {
  const bool done = !nodes.empty() && std::all_of(nodes.begin(), nodes.end(),
                                                  [](const Node* node) { return LockedByRevoke(*node); });
  info.status = done ? "REVOKED" : "REVOKING";
  for (KeyInfo& key : info.keys) {
    if (key.status == "ENABLED") key.status = info.status;
  }
}

// Whether a node whose key `other` is needs this version of `key`. One that does not tell its version may
// need any.
bool NeedsVersion(const KeyInfo& other, const KeyInfo& key) {
  if (!kms::IsSameKey(other.spec.uri, key.spec.uri)) return false;
  if (!other.version) return other.status == "ENABLED" || !other.evidence;
  return other.version->name == key.version->name && !other.version->may_be_destroyed;
}

// Nothing may be destroyed that any node of the region needs.
void TakeInOthers(CmekRegion& info, const std::vector<const Node*>& nodes) {
  for (const Node* node : nodes) {
    const auto& theirs = node->status.reencryption;
    const bool further = theirs && (!info.reencryption || theirs->percent < info.reencryption->percent);
    if (further) info.reencryption = theirs;
    for (KeyInfo& key : info.keys) {
      const auto needed = [&](const KeyInfo& other) {
        return kms::IsSameKey(other.spec.uri, key.spec.uri) && !other.may_be_destroyed;
      };
      const auto& others = node->status.keys;
      key.may_be_destroyed = key.may_be_destroyed && std::none_of(others.begin(), others.end(), needed);
      if (!key.version || !key.version->may_be_destroyed) continue;
      key.version->may_be_destroyed = std::none_of(
          others.begin(), others.end(), [&](const KeyInfo& other) { return NeedsVersion(other, key); });
    }
  }
}

CmekRegion CmekOfRegion(const ClusterView& view, const Region& region) {
  CmekRegion info{region.name, "DISABLED", {}, {}};
  if (region.cmek_generation == 0) return info;
  const auto nodes = NodesOf(view, region.name);
  const Node* spokesman = SpokesmanOf(nodes);
  if (spokesman != nullptr) {
    info.status = spokesman->status.cmek_status;
    info.keys = spokesman->status.keys;
    TakeInOthers(info, nodes);
  }
  if (!CarriedOut(view, region)) {
    info.status = region.cmek_kind == CmekKind::kEnable ? "ENABLING" : "ROTATING";
    PrependRequested(region, info.keys);
  }
  if (view.cluster.revoked) MarkRevoked(info, nodes);
  return info;
}

const Node* FirstNode(const ClusterView& view, const std::function<bool(const Node&)>& test) {
  const auto found = std::find_if(view.nodes.begin(), view.nodes.end(),
                                  [&](const Node& node) { return node.reported && test(node); });
  return found == view.nodes.end() ? nullptr : &*found;
}

bool InState(const Node& node, NodeState state) { return node.status.state == state; }

wire::Trouble NodeLock(const Node& node) {
  if (node.status.lock) return *node.status.lock;
  return {"INTERNAL", "the node is locking", Rfc3339(node.status_at)};
}

// What a node of the region says of a lock, or of its failure.
std::optional<wire::Trouble> NodeTrouble(const ClusterView& view, const std::string& region) {
  if (view.cluster.lifecycle != Lifecycle::kCreated) return std::nullopt;
  const Node* locked = FirstNode(view, [&](const Node& node) {
    return node.region == region && (InState(node, NodeState::kLocked) || InState(node, NodeState::kLocking));
  });
  if (locked != nullptr) return NodeLock(*locked);
  const Node* failed = FirstNode(
      view, [&](const Node& node) { return node.region == region && InState(node, NodeState::kFailed); });
  if (failed == nullptr) return std::nullopt;
  return wire::Trouble{"NODE_FAILED", failed->status.failure, Rfc3339(failed->status_at)};
}

}  // namespace

CmekInfo CmekOf(const ClusterView& view) {
  CmekInfo info{"DISABLED", {}};
  for (const Region& region : view.regions) {
    info.regions.push_back(CmekOfRegion(view, region));
    if (Severity(info.regions.back().status) > Severity(info.status))
      info.status = info.regions.back().status;
  }
  return info;
}

bool CmekRunning(const ClusterView& view) {
  return std::any_of(view.regions.begin(), view.regions.end(),
                     [&](const Region& region) { return !CarriedOut(view, region); });
}

bool CmekInForce(const ClusterView& view) {
  return std::any_of(view.regions.begin(), view.regions.end(), [&](const Region& region) {
    const std::string status = CmekOfRegion(view, region).status;
    return status != "DISABLED" && status != "ENABLE_FAILED";
  });
}

std::string StateOf(const ClusterView& view) {
  switch (view.cluster.lifecycle) {
    case Lifecycle::kCreating:
    case Lifecycle::kCreationFailed:
    case Lifecycle::kDeleted:
      return std::string(LifecycleName(view.cluster.lifecycle));
    case Lifecycle::kCreated:
    case Lifecycle::kDeleting:
      break;
  }
  return LockOf(view) ? "LOCKED" : "CREATED";
}

std::string OperationStatusOf(const ClusterView& view) {
  if (view.cluster.lifecycle == Lifecycle::kDeleting) return "CRDB_EDIT_CLUSTER_RUNNING";
  const std::string status = CmekOf(view).status;
  if (absl::EndsWith(status, "ING")) return "CRDB_CMEK_OPERATION_RUNNING";
  if (absl::EndsWith(status, "_FAILED")) return "CRDB_CMEK_OPERATION_FAILED";
  const bool grows =
      view.cluster.lifecycle == Lifecycle::kCreated &&
      std::any_of(view.nodes.begin(), view.nodes.end(), [](const Node& node) { return !node.reported; });
  return grows ? "CRDB_SCALE_RUNNING" : "UNSPECIFIED";
}

std::optional<wire::Trouble> LockOf(const ClusterView& view) {
  const Cluster& cluster = view.cluster;
  if (cluster.lifecycle == Lifecycle::kDeleting) {
    return wire::Trouble{"DELETING", "the cluster is being deleted", Rfc3339(cluster.deleted_at)};
  }
  if (cluster.lifecycle != Lifecycle::kCreated) return std::nullopt;
  if (cluster.revoked) {
    return wire::Trouble{
        "REVOKED",
        absl::StrCat("access to the data was revoked by the customer; ccloud cluster cmek rotate ",
                     cluster.name, " with a usable key brings the cluster back"),
        Rfc3339(cluster.revoked_at)};
  }
  std::optional<wire::Trouble> first;
  for (const Region& region : view.regions) {
    const auto lock = NodeTrouble(view, region.name);
    if (!lock) return std::nullopt;
    if (!first) first = lock;
  }
  return first;
}

std::optional<wire::Trouble> LockOfRegion(const ClusterView& view, const std::string& region) {
  const auto whole = LockOf(view);
  const auto own = NodeTrouble(view, region);
  return own || !whole ? own : whole;
}

std::optional<Warning> WarningOf(const ClusterView& view) {
  const Node* node = FirstNode(view, [](const Node& n) { return n.status.warning.has_value(); });
  if (node == nullptr) return std::nullopt;
  return Warning{*node->status.warning, node->status.locks_at};
}

wire::DesiredNode DesiredOf(const ClusterView& view, const Node& node, const std::vector<SqlUser>& users,
                            const std::vector<AllowlistEntry>& allowlist) {
  wire::DesiredNode desired;
  desired.generation = node.generation;
  desired.node_id = node.id;
  desired.cluster_id = view.cluster.id;
  desired.cluster_name = view.cluster.name;
  desired.cloud = view.cluster.cloud;
  desired.region = node.region;
  desired.revoked = view.cluster.revoked;
  if (view.cluster.recovery) desired.recovery_public_key = view.cluster.recovery->public_key;
  desired.min_key_ring_epoch = node.status.key_ring_epoch;
  desired.min_store_generation = node.status.store_generation;
  for (const Region& region : view.regions) {
    if (region.name == node.region && region.cmek_generation > 0) {
      desired.cmek = wire::DesiredCmek{region.cmek_generation, region.cmek_spec};
    }
  }
  for (const AllowlistEntry& entry : allowlist) {
    if (entry.sql) desired.allowlist.push_back(absl::StrCat(entry.cidr_ip, "/", entry.cidr_mask));
  }
  for (const SqlUser& user : users) desired.sql_users.push_back({user.name, user.scram_verifier});
  return desired;
}

}  // namespace keyhold::control
