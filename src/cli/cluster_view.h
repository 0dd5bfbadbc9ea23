// A cluster as text, for people.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/output.h"

namespace keyhold::cli {

// All of `cluster info`. Of a locked cluster, or one that will lock, the first lines say what happened, since
// when, and what to do.
void PrintCluster(Output& output, const nlohmann::json& cluster);

// What a user can do about a lock or a warning with this `cause`, by the commands of the cluster's cloud.
std::string NextStep(const std::string& cause, const std::string& cluster_name, const std::string& cloud);

}  // namespace keyhold::cli
