// A clock that moves only when it is told to.
#pragma once

#include <mutex>

#include "base/clock.h"

namespace keyhold::testing {

class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1'800'000'000)) : now_(start) {}

  absl::Time Now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration duration) {
    const std::lock_guard lock(mutex_);
    now_ += duration;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_;  // guarded by mutex_
};

}  // namespace keyhold::testing
