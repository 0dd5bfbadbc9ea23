// The CMEK operations of a cluster. They set what is desired; its nodes carry it out (state.h shows how far
// they are), over restarts of anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/core.h"
#include "control/fleet.h"

namespace keyhold::control {

inline constexpr absl::Duration kShortestGrace = absl::Seconds(1);
inline constexpr absl::Duration kLongestGrace = absl::Hours(7 * 24);

// One region's key, as a user gave it: the fields have not been checked.
struct CmekRegionSpec {
  std::string region;  // empty: the cluster's only one
  wire::KeySpec key_spec;
};

// What a dry run of a region's key found; its first lines are the cluster's own (plan and add-on, key spec).
struct CmekRegionCheck {
  std::string region;
  wire::KeySpec key_spec;
  wire::CheckReport report;
};

// Safe to use from any thread. Every change, made or refused, is in the audit log. There is no way to disable
// CMEK.
//
// Enable and Rotate check before anything changes, in this order: plan and add-on (kFailedPrecondition with
// the way to get them), the cluster's state, the key specs' form (kInvalidArgument; kUnimplemented for a
// cloud that is not built), the keys' region (kKmsWrongKey), and then, on the node itself, that it may use
// the keys (the kKms* cause; the message has the policy statement to add). kConflict: another operation is
// under way, or has won while the keys were checked. kUnavailable: no node could check within
// core.check_timeout.
class Cmek {
 public:
  Cmek(Core& core, Fleet& fleet) : core_(core), fleet_(fleet) {}

  // Needs a key for every region. kAlreadyExists once CMEK is enabled: Rotate() is meant.
  StatusOr<ClusterView> Enable(const Caller& caller, const std::string& id,
                               const std::vector<CmekRegionSpec>& specs);

  // New keys, or new versions of the same ones, for the regions given. Brings back a cluster that was
  // revoked, which takes a key for every region. kFailedPrecondition: CMEK was never enabled, or one of the
  // regions is locked for another cause than a REVOKE.
  StatusOr<ClusterView> Rotate(const Caller& caller, const std::string& id,
                               const std::vector<CmekRegionSpec>& specs);

  // What Enable and Rotate check before they change anything, line by line, and nothing else. An error only
  // where there is no cluster, region or node to check with.
  StatusOr<std::vector<CmekRegionCheck>> Check(const std::string& id, std::vector<CmekRegionSpec> specs);

  // How long the cluster's nodes serve on while its KMS does not answer, kShortestGrace to kLongestGrace;
  // zero: they lock as soon as a second try has no answer either; nothing: as the server's options say. Waits
  // a little for the nodes to have it. kInvalidArgument.
  StatusOr<ClusterView> SetGrace(const Caller& caller, const std::string& id,
                                 std::optional<absl::Duration> grace);

  // The key that the store keys of the cluster are sealed to besides, in the place of another; nothing: no
  // key any more. `created_at` and `key_id` are set here. Nodes that are open take it up at once, others when
  // they open. kInvalidArgument: no RSA public key, or an impossible threshold.
  StatusOr<ClusterView> SetRecoveryKey(const Caller& caller, const std::string& id,
                                       std::optional<RecoveryKey> key);

  // Locks the cluster until the next Rotate(). OK again on a cluster that is revoked.
  StatusOr<ClusterView> Revoke(const Caller& caller, const std::string& id);

 private:
  struct Request;
  StatusOr<ClusterView> CheckAndCommit(class Audit& audit, const Request& request);
  StatusOr<ClusterView> CommitRevoke(class Audit& audit, const std::string& id);
  Status CheckOnNodes(const ClusterView& view, const std::string& region, const wire::KeySpec& spec,
                      wire::CheckReport& report);

  Core& core_;
  Fleet& fleet_;
};

// kFailedPrecondition, with the way to get them, unless plan and add-on allow CMEK.
Status CheckPlan(const Cluster& cluster);

// For a cluster that is to get the regions `added`: their key specs, checked as above. Where CMEK is in
// force, each needs one; where it is not, or for another region, a key is kInvalidArgument. The cluster must
// be CREATED and serve, to check keys.
StatusOr<std::vector<CmekRegionSpec>> CheckNewRegions(Core& core, Fleet& fleet, const ClusterView& view,
                                                      const std::vector<std::string>& added,
                                                      std::vector<CmekRegionSpec> specs);

// Neither regions nor CMEK operations have come between.
bool SameOperations(const ClusterView& a, const ClusterView& b);

}  // namespace keyhold::control
