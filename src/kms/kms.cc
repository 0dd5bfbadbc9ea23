#include "kms/kms.h"

#include <algorithm>

#include "base/failed_checks.h"

namespace keyhold::kms {

bool CheckReport::Usable() const {
  return !steps.empty() &&
         std::all_of(steps.begin(), steps.end(), [](const CheckStep& s) { return s.passed; });
}

Status CheckReport::ToStatus() const {
  if (steps.empty()) return Error(Cause::kInternal, "a key check without steps");
  std::vector<FailedCheck> failed;
  for (const CheckStep& step : steps) {
    if (!step.passed) failed.push_back({step.name, step.cause, step.message});
  }
  return failed.empty() ? OkStatus() : FailedChecks(failed);
}

}  // namespace keyhold::kms
