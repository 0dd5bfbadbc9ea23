// The other end of the control plane: the agents and the nodes they keep.
//
// Desired state goes down, status comes up, and every step can be repeated. What is kept in memory alone, the
// checks under way, may be lost without a trace: their callers are told kUnavailable.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/core.h"

namespace keyhold::control {

// A node of the agent's host as it should be.
struct DesiredWork {
  wire::DesiredNode node;
  bool remove = false;  // stop it and delete its files, key ring first
};

// A key spec that a node is to try.
struct CheckTask {
  std::string id;
  std::string node_id;
  wire::KeySpec key_spec;
  std::string region;  // that the key is for
};

struct Work {
  std::string version;  // of `nodes`; the agent gives it back to be told of the next one
  std::vector<DesiredWork> nodes;
  std::vector<CheckTask> checks;  // each is handed out once
};

struct FleetOptions {
  absl::Duration probe_interval = absl::Seconds(2);
  absl::Duration unreachable_grace = absl::Minutes(15);
  absl::Duration data_key_max_age = absl::Hours(30 * 24);
};

// Safe to use from any thread.
class Fleet {
 public:
  Fleet(Core& core, FleetOptions options) : core_(core), options_(options) {}

  // For the agent of `host`: all its nodes, as soon as they are not those of `version` or there is a check to
  // make, or after `timeout`. Nodes that no host has become its own.
  StatusOr<Work> Await(const std::string& host, const std::string& version, absl::Duration timeout);

  // What the node says of itself. kNotFound: it was removed.
  Status PutStatus(const std::string& node_id, const wire::NodeStatus& status);

  // The node's files are gone; with its last node a cluster becomes DELETED. kFailedPrecondition unless the
  // cluster is being deleted. OK for a node that is not there.
  Status Removed(const std::string& node_id);

  // Has the node try `spec` for `region`, its own or one that its cluster is to get. kUnavailable when it
  // does not answer within `timeout`.
  StatusOr<wire::CheckReport> Check(const std::string& node_id, const wire::KeySpec& spec,
                                    const std::string& region, absl::Duration timeout);

  // The answer to a CheckTask. kNotFound: nobody waits for it any more.
  Status FinishCheck(const std::string& task_id, StatusOr<wire::CheckReport> result);

  // How long the cluster's nodes serve on while its KMS does not answer; zero: they lock at once.
  absl::Duration GraceOf(const Cluster& cluster) const {
    return cluster.unreachable_grace.value_or(options_.unreachable_grace);
  }

  // When the agent of `host` was last heard of; InfinitePast() since this process started: never.
  absl::Time LastSeen(const std::string& host) const;

 private:
  struct Pending {
    CheckTask task;
    std::string host;
    bool handed_out = false;
    std::optional<StatusOr<wire::CheckReport>> result;
  };
  StatusOr<Work> WorkOf(const std::string& host);
  std::vector<CheckTask> TakeChecks(const std::string& host);
  void Heard(const std::string& host);

  Core& core_;
  const FleetOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, Pending> pending_;  // by task id; guarded by mutex_, as is last_seen_
  std::map<std::string, absl::Time> last_seen_;
};

// Makes a generation of every node when the options are not those of the last start, so that nodes take them
// up.
Status ApplyFleetOptions(Core& core, const FleetOptions& options);

}  // namespace keyhold::control
