// What the services of the control plane share.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "control/changes.h"
#include "control/model.h"
#include "control/store.h"
#include "control/tables.h"
#include "crypto/random.h"

namespace keyhold::control {

// The references must outlive every service.
struct Core {
  Store& store;
  Changes& changes;
  Clock& clock;
  crypto::Random& random;
  absl::Duration check_timeout = absl::Seconds(20);    // for a node's check of a key spec
  absl::Duration observe_timeout = absl::Seconds(10);  // for nodes to take up a change
};

// A change in a transaction, and the bell after it.
Status Change(Core& core, const std::function<Status(Tables&)>& change);

// The cluster `id`, deleted ones included only if asked for. kNotFound tells how to list clusters.
enum class Deleted { kHide, kShow };
StatusOr<ClusterView> FindCluster(Tables& tables, const std::string& id, Deleted deleted = Deleted::kHide);
StatusOr<ClusterView> ReadCluster(Core& core, const std::string& id, Deleted deleted = Deleted::kHide);

// What is said of a cluster that is not there, and of one that the caller may not see.
Status NoSuchCluster(const std::string& id);

// The same for a change: kFailedPrecondition while the cluster is being deleted.
StatusOr<ClusterView> FindClusterToChange(Tables& tables, const std::string& id);

// Waits, for core.observe_timeout at most, until every node of the cluster that serves has taken up the
// desired state as it is now. Not reaching it is no error: it is desired, and will be.
void AwaitObserved(Core& core, const std::string& cluster_id);

}  // namespace keyhold::control
