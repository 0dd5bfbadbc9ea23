// ADDR:PORT, as the --...-listen flags take it.
#pragma once

#include <string>

#include "base/status.h"

namespace keyhold::app {

// OK when a TCP socket can be bound to `address` now, or its port is 0. kInvalidArgument: not ADDR:PORT or
// [ADDR]:PORT with a numeric address; kUnavailable: busy, or not of this machine.
Status CheckFree(const std::string& address);

}  // namespace keyhold::app
