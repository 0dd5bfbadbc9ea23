#include "kms/check.h"

namespace keyhold::kms {

Checker::Checker(Clock& clock, absl::Duration budget) : clock_(clock), deadline_(clock.Now() + budget) {}

bool Checker::Step(const std::string& name, const std::function<Status(absl::Duration left)>& step) {
  const absl::Time start = clock_.Now();
  const Status status = step(deadline_ - start);
  CheckStep row{name, status.ok(), Cause::kInternal, std::string(status.message()), clock_.Now() - start};
  if (!status.ok()) row.cause = last_cause_ = CauseOf(status);
  report_.steps.push_back(std::move(row));
  return status.ok();
}

}  // namespace keyhold::kms
