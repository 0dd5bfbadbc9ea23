// How Google says what a fault that was ordered makes it say.
#pragma once

#include "localcloud/access_log.h"
#include "localcloud/fault.h"

namespace keyhold::localcloud::gcp {

// For kThrottled, kUnavailable and kDenied, to the request of `entry`.
Status FaultError(FaultKind kind, const AccessEntry& entry);

}  // namespace keyhold::localcloud::gcp
