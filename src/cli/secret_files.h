// Files that a command makes for people to keep: whole, durable, for this user alone, and never over another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace keyhold::cli {

// Removes what it wrote when it goes, unless it was kept.
class SecretFiles {
 public:
  SecretFiles() = default;
  ~SecretFiles();
  SecretFiles(const SecretFiles&) = delete;
  SecretFiles& operator=(const SecretFiles&) = delete;

  // Mode 0600. kAlreadyExists: there is such a file.
  Status Write(const std::string& path, std::string_view content);

  void Keep() { written_.clear(); }

 private:
  std::vector<std::string> written_;
};

}  // namespace keyhold::cli
