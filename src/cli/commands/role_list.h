// Roles on the command line: "ROLE" on the organization, "ROLE:CLUSTER" on one cluster.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/session.h"

namespace keyhold::cli {

// What a BuiltInRole is on, in words.
std::string ResourceText(const nlohmann::json& role);

// A list of BuiltInRole; clusters by name or id.
StatusOr<nlohmann::json> ResolveRoles(Session& session, const ApiClient& api,
                                      const std::vector<std::string>& texts);

}  // namespace keyhold::cli
