// What the Cloud API says of a cluster, worked out from what is desired and what its nodes last reported:
// pure functions, so that nothing of it can be lost or half done.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/model.h"

namespace keyhold::control {

// CMEKRegionInfo of the Cloud API.
struct CmekRegion {
  std::string region;
  std::string status;                              // CMEKStatus
  std::vector<wire::KeyInfo> keys;                 // newest first
  std::optional<wire::Reencryption> reencryption;  // of the node that has furthest to go
};

// CMEKClusterInfo of the Cloud API.
struct CmekInfo {
  std::string status;
  std::vector<CmekRegion> regions;
};

// Before the first enable: DISABLED, regions without keys. From POST, PUT and REVOKE on until the nodes have
// carried it out: ENABLING, ROTATING, REVOKING; then what the nodes say. A cluster is what its worst region
// is.
CmekInfo CmekOf(const ClusterView& view);

// The generation that was asked for last is not carried out yet.
bool CmekRunning(const ClusterView& view);

// CMEK was enabled, or is being enabled; from here on it cannot be disabled. False again after ENABLE_FAILED.
bool CmekInForce(const ClusterView& view);

// ClusterState.Type of the Cloud API.
std::string StateOf(const ClusterView& view);

// ClusterStatus.Type of the Cloud API.
std::string OperationStatusOf(const ClusterView& view);

// Why the cluster is LOCKED, that is every region of it; nothing when it is not. `cause` is a CauseName,
// REVOKED, DELETING or NODE_FAILED.
std::optional<wire::Trouble> LockOf(const ClusterView& view);

// The same for one region: a key that one region lost locks that region alone.
std::optional<wire::Trouble> LockOfRegion(const ClusterView& view, const std::string& region);

// Why it will not serve for ever, from the first node that warns, and until when it will.
struct Warning {
  wire::Trouble trouble;
  std::string locks_at;
};
std::optional<Warning> WarningOf(const ClusterView& view);

// The desired state of `node`, one of `view`'s. Its sql_listen is left to the agent.
wire::DesiredNode DesiredOf(const ClusterView& view, const Node& node, const std::vector<SqlUser>& users,
                            const std::vector<AllowlistEntry>& allowlist);

}  // namespace keyhold::control
