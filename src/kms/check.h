// Runs the steps of a key check and writes its report.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "kms/kms.h"

namespace keyhold::kms {

// For one thread.
class Checker {
 public:
  // All steps together may take `budget`.
  Checker(Clock& clock, absl::Duration budget);

  // Runs `step` with the time that is left and adds its row; true when it passed.
  bool Step(const std::string& name, const std::function<Status(absl::Duration left)>& step);

  // Of the last step that failed.
  Cause LastCause() const { return last_cause_; }

  CheckReport TakeReport() { return std::move(report_); }

 private:
  Clock& clock_;
  const absl::Time deadline_;
  CheckReport report_;
  Cause last_cause_ = Cause::kInternal;
};

}  // namespace keyhold::kms
