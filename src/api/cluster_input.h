// The bodies of POST and PATCH /clusters as what the control plane is asked for.
#pragma once

#include <string_view>

#include "control/clusters.h"

namespace keyhold::api {

// CreateClusterRequest, and spec.advanced_security_add_on. kInvalidArgument names the field; kUnimplemented
// for what Keyhold has not: several nodes, folders, a customer's own cloud account, egress rules.
StatusOr<control::ClusterSpec> ReadClusterSpec(std::string_view body);

// UpdateClusterSpecification, and advanced_security_add_on. The same errors.
StatusOr<control::ClusterChange> ReadClusterChange(std::string_view body);

}  // namespace keyhold::api
