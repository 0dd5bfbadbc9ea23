#include "cli/recovery_view.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/session.h"

namespace keyhold::cli {

using nlohmann::json;

std::vector<std::string> RecoveryLines(const json& recovery) {
  std::vector<std::string> lines;
  if (!recovery.is_object()) return lines;
  const json key = recovery.value("key", json());
  if (key.is_object()) {
    lines.push_back(absl::StrCat(Text(key, "threshold"), " of ", Text(key, "shares"),
                                 " shares open the stores, since ", ShortTime(Text(key, "created_at")), " (",
                                 Text(key, "id").substr(0, 16), ")"));
  }
  for (const json& region : recovery.value("regions", json::array())) {
    if (key.is_object() && !region.value("in_force", false)) {
      lines.push_back(absl::StrCat("not yet in force in ", Text(region, "region"),
                                   ": its nodes take it up when they are open"));
    }
    if (!Text(region, "used_at").empty()) {
      lines.push_back(absl::StrCat("USED in ", Text(region, "region"), " at ",
                                   ShortTime(Text(region, "used_at")), ", without the KMS"));
    }
  }
  return lines;
}

}  // namespace keyhold::cli
