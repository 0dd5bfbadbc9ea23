#include "kms/kms.h"

#include <algorithm>

#include "kms/text.h"

namespace keyhold::kms {

bool CheckReport::Usable() const {
  return !steps.empty() &&
         std::all_of(steps.begin(), steps.end(), [](const CheckStep& s) { return s.passed; });
}

Status CheckReport::ToStatus() const {
  std::string message;
  const CheckStep* first = nullptr;
  for (const CheckStep& step : steps) {
    if (step.passed) continue;
    if (first == nullptr) first = &step;
    message += StrCat({message.empty() ? "" : "; ", step.message});
  }
  if (first != nullptr) return Error(first->cause, message);
  if (steps.empty()) return Error(Cause::kInternal, "a key check without steps");
  return OkStatus();
}

}  // namespace keyhold::kms
