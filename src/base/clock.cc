#include "base/clock.h"

#include "absl/time/clock.h"

namespace keyhold {

Clock& SystemClock() {
  class System final : public Clock {
   public:
    absl::Time Now() const override { return absl::Now(); }
  };
  static auto* clock = new System;
  return *clock;
}

}  // namespace keyhold
