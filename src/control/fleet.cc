#include "control/fleet.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "control/audit.h"
#include "control/recovery.h"
#include "control/state.h"
#include "crypto/hash.h"

namespace keyhold::control {
namespace {

using nlohmann::json;
using wire::NodeState;

// Without what nodes report themselves: each report would make work of it.
std::string VersionOf(const std::vector<DesiredWork>& nodes) {
  json all = json::array();
  for (const DesiredWork& work : nodes) {
    json node = wire::ToJson(work.node);
    node.erase("min_key_ring_epoch");
    node.erase("min_store_generation");
    all.push_back({std::move(node), work.remove});
  }
  return crypto::Hex(crypto::Sha256(crypto::AsBytes(all.dump())));
}

// Both tell that the key was usable, and when, and nothing else that is new: most reports are such.
bool SaysTheSame(const wire::NodeStatus& before, const wire::NodeStatus& now) {
  wire::NodeStatus then = now;
  then.version = before.version;
  then.last_probe_at = before.last_probe_at;
  return wire::ToJson(then) == wire::ToJson(before);
}

// A store that was put back from a copy, and accepted on its host since: `kept` is what its node says now.
void NoteAccepted(Tables& tables, Core& core, const Node& before, const wire::NodeStatus& kept) {
  if (kept.accepted_at.empty() || kept.accepted_at == before.status.accepted_at) return;
  const json payload = {{"restored_store_accepted",
                         {{"at", kept.accepted_at},
                          {"region", before.region},
                          {"node_id", before.id},
                          {"key_ring_epoch", kept.key_ring_epoch},
                          {"store_generation", kept.store_generation}}}};
  const auto view = tables.clusters.Get(before.cluster_id);
  tables.audit.Append(EventOfNode(core, view->cluster, "RESTORE_CLUSTER", payload));
}

// What a report makes of a cluster that never served yet; one whose creation failed may still come up.
void FinishCreation(Tables& tables, const std::string& cluster_id, absl::Time now) {
  auto view = tables.clusters.Get(cluster_id);
  const bool waits = view && (view->cluster.lifecycle == Lifecycle::kCreating ||
                              view->cluster.lifecycle == Lifecycle::kCreationFailed);
  if (!waits) return;
  bool all_serve = true;
  bool failed = false;
  for (const Node& node : view->nodes) {
    all_serve = all_serve && node.reported && node.status.state == NodeState::kServing;
    failed = failed || (node.reported && node.status.state == NodeState::kFailed);
  }
  if (!all_serve && !failed) return;
  view->cluster.lifecycle = all_serve ? Lifecycle::kCreated : Lifecycle::kCreationFailed;
  view->cluster.updated_at = now;
  tables.clusters.Update(view->cluster);
}

void FinishDeletion(Tables& tables, ClusterView& view, absl::Time now) {
  if (!tables.nodes.OfCluster(view.cluster.id).empty()) return;
  view.cluster.lifecycle = Lifecycle::kDeleted;
  view.cluster.deleted_at = view.cluster.updated_at = now;
  tables.clusters.Update(view.cluster);
  for (const SqlUser& user : tables.sql_users.OfCluster(view.cluster.id)) {
    tables.sql_users.Delete(view.cluster.id, user.name);
  }
  tables.roles.DeleteOfCluster(view.cluster.id);
}

Status NoSuchNode(const std::string& id) {
  return Error(Cause::kNotFound, absl::StrCat("there is no node ", id.substr(0, 64)));
}

}  // namespace

StatusOr<Work> Fleet::Await(const std::string& host, const std::string& version, absl::Duration timeout) {
  StatusOr<Work> work = Error(Cause::kInternal, "not read");
  core_.changes.Await(timeout, [&] {
    Heard(host);
    work = WorkOf(host);
    if (!work.ok()) return true;
    work->checks = TakeChecks(host);
    return work->version != version || !work->checks.empty();
  });
  Heard(host);
  return work;
}

StatusOr<Work> Fleet::WorkOf(const std::string& host) {
  Work work;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Write([&](Tables& tables) {
    const auto organization = tables.organization.Get();
    for (const Node& node : tables.nodes.OfHost(host)) {
      const auto view = tables.clusters.Get(node.cluster_id);
      DesiredWork desired{DesiredOf(*view, node, tables.sql_users.OfCluster(node.cluster_id),
                                    tables.allowlist.OfCluster(node.cluster_id))};
      desired.node.organization_id = organization ? organization->id : "";
      desired.node.probe_interval_ms = absl::ToInt64Milliseconds(options_.probe_interval);
      desired.node.unreachable_grace_ms = absl::ToInt64Milliseconds(GraceOf(view->cluster));
      desired.node.data_key_max_age_s = absl::ToInt64Seconds(options_.data_key_max_age);
      desired.remove = view->cluster.lifecycle == Lifecycle::kDeleting;
      work.nodes.push_back(std::move(desired));
    }
    return OkStatus();
  }));
  work.version = VersionOf(work.nodes);
  return work;
}

std::vector<CheckTask> Fleet::TakeChecks(const std::string& host) {
  const std::lock_guard lock(mutex_);
  std::vector<CheckTask> tasks;
  for (auto& [id, pending] : pending_) {
    if (pending.handed_out || pending.host != host) continue;
    pending.handed_out = true;
    tasks.push_back(pending.task);
  }
  return tasks;
}

Status Fleet::PutStatus(const std::string& node_id, const wire::NodeStatus& status) {
  bool news = false;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Write([&](Tables& tables) {
    const auto node = tables.nodes.Get(node_id);
    if (!node) return NoSuchNode(node_id);
    Heard(node->host);
    const absl::Time now = core_.clock.Now();
    wire::NodeStatus kept = status;
    kept.key_ring_epoch = std::max(kept.key_ring_epoch, node->status.key_ring_epoch);
    kept.store_generation = std::max(kept.store_generation, node->status.store_generation);
    NoteRecovery(tables, core_, *node, kept);
    NoteAccepted(tables, core_, *node, kept);
    tables.nodes.SetStatus(node_id, kept, now);
    FinishCreation(tables, node->cluster_id, now);
    news = !node->reported || !SaysTheSame(node->status, kept);
    return OkStatus();
  }));
  if (news) core_.changes.Notify();
  return OkStatus();
}

Status Fleet::Removed(const std::string& node_id) {
  return Change(core_, [&](Tables& tables) {
    const auto node = tables.nodes.Get(node_id);
    if (!node) return OkStatus();
    auto view = tables.clusters.Get(node->cluster_id);
    if (view->cluster.lifecycle != Lifecycle::kDeleting) {
      return Error(Cause::kFailedPrecondition, "the node's cluster is not being deleted");
    }
    tables.nodes.Delete(node_id);
    FinishDeletion(tables, *view, core_.clock.Now());
    return OkStatus();
  });
}

StatusOr<wire::CheckReport> Fleet::Check(const std::string& node_id, const wire::KeySpec& spec,
                                         const std::string& region, absl::Duration timeout) {
  std::optional<Node> node;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    node = tables.nodes.Get(node_id);
    return node ? OkStatus() : NoSuchNode(node_id);
  }));
  const std::string id = crypto::NewUuid(core_.random);
  {
    const std::lock_guard lock(mutex_);
    pending_[id] = Pending{{id, node_id, spec, region}, node->host};
  }
  core_.changes.Notify();
  core_.changes.Await(timeout, [&] {
    const std::lock_guard lock(mutex_);
    return pending_[id].result.has_value();
  });
  const std::lock_guard lock(mutex_);
  auto result = std::move(pending_[id].result);
  pending_.erase(id);
  if (result) return *std::move(result);
  return Error(Cause::kUnavailable, absl::StrCat("node ", node_id, " did not answer within ",
                                                 absl::FormatDuration(timeout), "; is its agent running?"));
}

Status Fleet::FinishCheck(const std::string& task_id, StatusOr<wire::CheckReport> result) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(task_id);
    if (found == pending_.end()) return Error(Cause::kNotFound, "nobody waits for this check any more");
    found->second.result = std::move(result);
  }
  core_.changes.Notify();
  return OkStatus();
}

absl::Time Fleet::LastSeen(const std::string& host) const {
  const std::lock_guard lock(mutex_);
  const auto found = last_seen_.find(host);
  return found == last_seen_.end() ? absl::InfinitePast() : found->second;
}

void Fleet::Heard(const std::string& host) {
  const std::lock_guard lock(mutex_);
  last_seen_[host] = core_.clock.Now();
}

Status ApplyFleetOptions(Core& core, const FleetOptions& options) {
  const std::string wanted = absl::StrCat(absl::FormatDuration(options.probe_interval), " ",
                                          absl::FormatDuration(options.unreachable_grace), " ",
                                          absl::FormatDuration(options.data_key_max_age));
  return Change(core, [&](Tables& tables) {
    if (tables.organization.Setting("fleet_options") == wanted) return OkStatus();
    tables.organization.SetSetting("fleet_options", wanted);
    for (const std::string& id : tables.clusters.Ids(false)) tables.nodes.BumpGenerations(id);
    return OkStatus();
  });
}

}  // namespace keyhold::control
