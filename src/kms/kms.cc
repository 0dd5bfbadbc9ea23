#include "kms/kms.h"

#include <algorithm>

#include "kms/text.h"

namespace keyhold::kms {

bool CheckReport::Usable() const {
  return !steps.empty() &&
         std::all_of(steps.begin(), steps.end(), [](const CheckStep& s) { return s.passed; });
}

Status CheckReport::ToStatus() const {
  if (steps.empty()) return Error(Cause::kInternal, "a key check without steps");
  const CheckStep* first = nullptr;
  std::string failed;
  for (const CheckStep& step : steps) {
    if (step.passed) continue;
    failed += StrCat({first == nullptr ? "" : ", ", step.name});
    if (first == nullptr) first = &step;
  }
  if (first == nullptr) return OkStatus();
  const bool several = failed.size() > first->name.size();
  return Error(first->cause,
               several ? StrCat({"checks failed: ", failed, "; ", first->message}) : first->message);
}

}  // namespace keyhold::kms
