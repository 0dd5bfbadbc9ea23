// How AWS says what a fault that was ordered makes it say.
#pragma once

#include "localcloud/access_log.h"
#include "localcloud/aws/host.h"
#include "localcloud/fault.h"

namespace keyhold::localcloud::aws {

// For kThrottled, kUnavailable and kDenied, to the request of `entry`.
Status FaultError(FaultKind kind, Service service, const AccessEntry& entry);

}  // namespace keyhold::localcloud::aws
