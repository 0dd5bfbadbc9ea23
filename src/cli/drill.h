// The CMEK drill: proves that revocation locks a cluster and that restoration brings it back, with times.
//
// On a throwaway clone (same plan, cloud, regions, keys, allowlist and policy; no data), which is deleted
// whatever happens, or on the cluster itself. SQL is what counts: a region is locked when psql is refused,
// and back when psql is answered; what the API says is awaited besides. Access is taken away by the API's
// REVOKE, or by commands of the user that do it in the KMS.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

#include "cli/session.h"

namespace keyhold::cli {

struct DrillOptions {
  bool on_cluster = false;   // on the cluster itself: it is locked for a moment
  std::string key_spec;      // as --cmek-key-spec, for the clone; empty: the cluster's own keys
  std::string revoke_with;   // shell commands that take the key away in its KMS, and give it back;
  std::string restore_with;  // both empty: the API's REVOKE and PUT
};

// The report: {"cluster", "on", "began_at", "keys", "steps": [{"name", "at", "seconds", ...}], "passed",
// "error"}. A drill that failed has a report too. An error is returned where nothing was begun:
// kFailedPrecondition: CMEK is not ENABLED, or the cluster is locked.
StatusOr<nlohmann::json> RunDrill(Session& session, const ApiClient& api, const nlohmann::json& cluster,
                                  const DrillOptions& options);

}  // namespace keyhold::cli
