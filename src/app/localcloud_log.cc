#include "app/localcloud_log.h"

#include <cstdio>
#include <filesystem>

namespace keyhold::app {

Status ShowLocalCloudLog(const LocalCloudLogOptions& options) {
  const std::string below = options.dir + "/localcloud";
  const std::string dir = std::filesystem::is_directory(below) ? below : options.dir;
  return localcloud::ShowAccessLog(dir + "/access.log", options.query, [](const std::string& line) {
    return std::printf("%s\n", line.c_str()) >= 0 && std::fflush(stdout) == 0;
  });
}

}  // namespace keyhold::app
