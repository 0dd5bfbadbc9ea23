// The CMEK drill: proves that revocation locks a cluster and that restoration brings it back, with times.
//
// On a throwaway clone (same plan, cloud, regions, keys, allowlist and policy; no data), which is deleted
// whatever happens, or on the cluster itself. SQL is what counts: a region is locked when psql is refused,
// and back when psql is answered; what the API says is awaited besides.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/session.h"

namespace keyhold::cli {

struct DrillOptions {
  bool on_cluster = false;  // on the cluster itself: it is locked for a moment
};

// The report: {"cluster", "on", "began_at", "keys", "steps": [{"name", "at", "seconds", ...}], "passed",
// "error"}. A drill that failed has a report too. An error is returned where nothing was begun:
// kFailedPrecondition: CMEK is not ENABLED, or the cluster is locked.
StatusOr<nlohmann::json> RunDrill(Session& session, const ApiClient& api, const nlohmann::json& cluster,
                                  const DrillOptions& options);

}  // namespace keyhold::cli
