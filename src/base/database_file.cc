#include "base/database_file.h"

#include <filesystem>

namespace keyhold {
namespace {

bool HasContent(const std::string& path) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(path, missing);
  return !missing && size > 0;
}

}  // namespace

Status CheckDatabaseKept(const std::string& database, const std::string& witness) {
  if (!HasContent(witness) || HasContent(database) || HasContent(database + "-wal")) return OkStatus();
  return Error(Cause::kCorrupt,
               database + " is missing or empty, but there was one (" + witness +
                   " is still there): put it back from a backup, or start in another directory");
}

}  // namespace keyhold
