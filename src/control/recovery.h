// What becomes of a cluster's recovery key: how far its nodes have taken it up, and what is written down when
// one was used.
#pragma once

#include <string>
#include <vector>

#include "control/core.h"

namespace keyhold::control {

struct RegionRecovery {
  std::string region;
  bool in_force = false;  // the store of every node there is sealed to the cluster's recovery key
  std::string
      sealed_to;        // the id of the key that a store there is sealed to, this or an earlier one; or empty
  std::string used_at;  // RFC 3339: when a recovery key opened one of them last; empty: never
};

std::vector<RegionRecovery> RecoveryOf(const ClusterView& view);

// `status` is what the node says now, which said `before.status` before. Where a recovery key was used since,
// that is an audit event of its own, and the key that the store is under now is the region's.
void NoteRecovery(Tables& tables, Core& core, const Node& before, const wire::NodeStatus& status);

}  // namespace keyhold::control
