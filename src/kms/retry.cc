#include "kms/retry.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/time/clock.h"

namespace keyhold::kms {
namespace {

// A try that ends so little before the deadline was ended by it: timeouts are whole milliseconds.
constexpr absl::Duration kCutOff = absl::Milliseconds(5);

// A share in [0, 1) of `most`.
absl::Duration Jitter(crypto::Random& random, absl::Duration most) {
  std::array<uint8_t, 4> bytes;
  random.Fill(bytes);
  uint32_t value = 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return most * (value / 4294967296.0);
}

}  // namespace

Sleeper& SystemSleeper() {
  class System final : public Sleeper {
   public:
    void Sleep(absl::Duration duration) override { absl::SleepFor(duration); }
  };
  static auto* sleeper = new System;
  return *sleeper;
}

Status Retry(const RetryTools& tools, absl::Duration budget,
             const std::function<TryResult(absl::Duration left)>& attempt) {
  const absl::Time deadline = tools.clock.Now() + budget;
  absl::Duration longest_wait = kFirstBackoff;
  Status answered;
  while (true) {
    const TryResult result = attempt(deadline - tools.clock.Now());
    if (result.status.ok() || !IsTransient(CauseOf(result.status))) return result.status;
    // That we ran out of time says less than what the other side said before.
    const bool cut_off = tools.clock.Now() + kCutOff >= deadline;
    if (cut_off && !answered.ok() && CauseOf(result.status) == Cause::kKmsUnreachable) return answered;
    answered = result.status;
    // Full jitter: nodes that lost the KMS together must not come back together.
    const absl::Duration wait = std::max(Jitter(tools.random, longest_wait), result.retry_after);
    if (tools.clock.Now() + wait >= deadline) return result.status;
    tools.sleeper.Sleep(wait);
    longest_wait = std::min(longest_wait * 2, kMaxBackoff);
  }
}

}  // namespace keyhold::kms
