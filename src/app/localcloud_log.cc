#include "app/localcloud_log.h"

#include <cstdio>
#include <filesystem>

namespace keyhold::app {

std::string LocalCloudDir(const std::string& dir) {
  const std::string below = dir + "/localcloud";
  return std::filesystem::is_directory(below) ? below : dir;
}

Status ShowLocalCloudLog(const LocalCloudLogOptions& options) {
  return localcloud::ShowAccessLog(
      LocalCloudDir(options.dir) + "/access.log", options.query, [](const std::string& line) {
        return std::printf("%s\n", line.c_str()) >= 0 && std::fflush(stdout) == 0;
      });
}

}  // namespace keyhold::app
