// How Azure says what a fault that was ordered makes it say.
#pragma once

#include "localcloud/access_log.h"
#include "localcloud/fault.h"

namespace keyhold::localcloud::azure {

// For kThrottled, kUnavailable and kDenied: a vault's (or Resource Manager's) answer to the request of
// `entry`, and Entra ID's.
Status FaultError(FaultKind kind, const AccessEntry& entry);
Status LoginFaultError(FaultKind kind);

}  // namespace keyhold::localcloud::azure
