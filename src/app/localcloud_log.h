// `keyhold localcloud log`: the local cloud's access log on stdout.
#pragma once

#include <string>

#include "base/status.h"
#include "localcloud/log_view.h"

namespace keyhold::app {

struct LocalCloudLogOptions {
  std::string dir;  // of keyhold start, or of the local cloud itself
  localcloud::LogQuery query;
};

// Where the local cloud's files are.
std::string LocalCloudDir(const std::string& dir);

// Until the log's end, or with `follow` until stdout is closed. kNotFound: there is no local cloud at `dir`.
Status ShowLocalCloudLog(const LocalCloudLogOptions& options);

}  // namespace keyhold::app
