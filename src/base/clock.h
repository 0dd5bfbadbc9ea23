// Time as an argument: whoever needs to know the time, or to wait for it, is given a Clock.
#pragma once

#include "absl/time/time.h"

namespace keyhold {

// Safe to use from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time, UTC.
  virtual absl::Time Now() const = 0;
};

// The machine's clock. Never destroyed.
Clock& SystemClock();

}  // namespace keyhold
