// Clusters: made, listed, changed and deleted.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/cmek.h"
#include "control/core.h"
#include "control/fleet.h"

namespace keyhold::control {

inline constexpr size_t kMaxLabels = 50;

// What a user asks for. Checked by Create().
struct ClusterSpec {
  std::string name;
  Plan plan = Plan::kAdvanced;
  std::string cloud;
  std::vector<std::string> regions;  // the first one is the primary
  bool add_on = false;
  bool private_network = false;
  bool delete_protection = false;
  bool empty_allowlist = false;
  std::map<std::string, std::string> labels;
  Hardware hardware;
};

// What a user wants changed; what is not set stays.
struct ClusterChange {
  std::optional<Plan> plan;  // only upwards
  std::optional<bool> add_on;
  std::optional<bool> delete_protection;
  std::optional<std::map<std::string, std::string>> labels;
  std::optional<Hardware> hardware;
  std::optional<std::vector<std::string>> regions;  // all that the cluster is to have: more than before
  std::vector<CmekRegionSpec> cmek_region_specs;    // keys for the new ones, where CMEK is in force
};

enum class ClusterOrder { kName, kCreatedAt, kDeletedAt };  // kDeletedAt: those that live by their creation

// Part of all clusters: at most `limit` behind the key `after` (empty: from the start), in `order` and then
// by id, or against both.
struct ClusterStretch {
  ClusterOrder order = ClusterOrder::kName;
  bool descending = false;
  bool deleted_too = false;
  std::string after;
  int limit = 100;
};

// A cluster, and its place in the order that was asked for: opaque, for ClusterStretch::after.
struct ClusterEntry {
  std::string key;
  ClusterView view;
};

// Safe to use from any thread. Every change, made or refused, is in the audit log.
class Clusters {
 public:
  Clusters(Core& core, Fleet& fleet) : core_(core), fleet_(fleet) {}

  // The cluster in state CREATING; an agent picks it up. Its allowlist lets this machine in, by two entries
  // that a user can see and delete. A CLUSTER_CREATOR becomes its CLUSTER_ADMIN. kInvalidArgument names what
  // is wrong; kAlreadyExists: the name is taken.
  StatusOr<ClusterView> Create(const Caller& caller, const ClusterSpec& spec);

  StatusOr<ClusterView> Get(const std::string& id);

  // Those that are not deleted, by time of creation.
  StatusOr<std::vector<ClusterView>> All();

  // A stretch of those that `visible` says yes to by their id. kInvalidArgument: `after` is no key of that
  // order.
  StatusOr<std::vector<ClusterEntry>> List(ClusterStretch stretch,
                                           const std::function<bool(const std::string&)>& visible);

  // kFailedPrecondition: a plan that goes down, the add-on off, or on without ADVANCED. A new region of a
  // cluster with CMEK needs its key in the same call; the key is checked on a node of the cluster as in
  // cmek.h, with the same errors. kUnimplemented: a region less.
  StatusOr<ClusterView> Update(const Caller& caller, const std::string& id, const ClusterChange& change);

  // From here on the cluster is LOCKED (cause DELETING) and cannot come back; DELETED when its agent has
  // removed its files, key ring first. Waits a little for that. kFailedPrecondition: protected. Again on a
  // cluster that is being deleted: its state.
  StatusOr<ClusterView> Delete(const Caller& caller, const std::string& id);

 private:
  StatusOr<ClusterView> Insert(class Audit& audit, const Caller& caller, const ClusterSpec& spec);
  StatusOr<ClusterView> Apply(class Audit& audit, const std::string& id, ClusterChange change);
  StatusOr<ClusterView> MarkDeleting(class Audit& audit, const std::string& id);

  Core& core_;
  Fleet& fleet_;
};

// What a change does to a cluster, before it is stored. The errors of Clusters::Update().
Status ApplyChange(const ClusterChange& change, Cluster& cluster);

// kInvalidArgument unless labels have keys [a-z][a-z0-9_-]{0,62}, values of the same letters, and are few
// enough.
Status CheckLabels(const std::map<std::string, std::string>& labels);

}  // namespace keyhold::control
