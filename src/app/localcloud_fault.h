// `keyhold localcloud fault add|list|clear`: orders faults from the local cloud that runs on a directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "localcloud/fault.h"

namespace keyhold::app {

struct LocalCloudFaultOptions {
  std::string dir;  // of keyhold start, or of the local cloud itself
  localcloud::FaultOrder order;
  std::optional<uint64_t> id;
  bool json = false;
};

// Each prints what it did, or what there is. kUnavailable: no local cloud runs there.
Status AddLocalCloudFault(const LocalCloudFaultOptions& options);
Status ListLocalCloudFaults(const LocalCloudFaultOptions& options);
Status ClearLocalCloudFaults(const LocalCloudFaultOptions& options);

// The kinds of faults with their meaning, a line each, for the help.
std::string FaultHelp();

}  // namespace keyhold::app
