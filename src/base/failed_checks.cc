#include "base/failed_checks.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace keyhold {

Status FailedChecks(const std::vector<FailedCheck>& failed) {
  const std::string names = absl::StrJoin(
      failed, ", ", [](std::string* out, const FailedCheck& check) { out->append(check.name); });
  return Error(failed.front().cause, absl::StrCat(names, ": ", failed.front().message));
}

}  // namespace keyhold
