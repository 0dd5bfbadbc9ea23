#include "control/core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace keyhold::control {

Status Change(Core& core, const std::function<Status(Tables&)>& change) {
  Status status = core.store.Write(change);
  if (status.ok()) core.changes.Notify();
  return status;
}

Status NoSuchCluster(const std::string& id) {
  return Error(Cause::kNotFound, absl::StrCat("there is no cluster with the id ", id.substr(0, 64),
                                              "; ccloud cluster list shows those there are"));
}

StatusOr<ClusterView> FindCluster(Tables& tables, const std::string& id, Deleted deleted) {
  auto view = tables.clusters.Get(id);
  if (!view || (view->cluster.lifecycle == Lifecycle::kDeleted && deleted == Deleted::kHide)) {
    return NoSuchCluster(id);
  }
  return *std::move(view);
}

StatusOr<ClusterView> ReadCluster(Core& core, const std::string& id, Deleted deleted) {
  StatusOr<ClusterView> view = Error(Cause::kInternal, "not read");
  KEYHOLD_RETURN_IF_ERROR(core.store.Read([&](Tables& tables) {
    view = FindCluster(tables, id, deleted);
    return view.status();
  }));
  return view;
}

StatusOr<ClusterView> FindClusterToChange(Tables& tables, const std::string& id) {
  KEYHOLD_ASSIGN_OR_RETURN(ClusterView view, FindCluster(tables, id));
  if (view.cluster.lifecycle == Lifecycle::kDeleting) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("cluster ", view.cluster.name, " is being deleted and takes no changes"));
  }
  return view;
}

void AwaitObserved(Core& core, const std::string& cluster_id) {
  core.changes.Await(core.observe_timeout, [&] {
    const auto view = ReadCluster(core, cluster_id);
    if (!view.ok()) return true;
    return std::all_of(view->nodes.begin(), view->nodes.end(), [](const Node& node) {
      return !node.reported || node.status.state != wire::NodeState::kServing ||
             node.status.observed_generation >= node.generation;
    });
  });
}

}  // namespace keyhold::control
