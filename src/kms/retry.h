// When to try again: exponential backoff with full jitter, inside the caller's budget.
//
// https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/ has the reasons.
#pragma once

#include <functional>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status.h"
#include "crypto/random.h"

namespace keyhold::kms {

// Waiting as an argument, so that tests need none. Safe to use from any thread.
class Sleeper {
 public:
  virtual ~Sleeper() = default;
  virtual void Sleep(absl::Duration duration) = 0;
};

// The machine's. Never destroyed.
Sleeper& SystemSleeper();

inline constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);  // the longest first wait
inline constexpr absl::Duration kMaxBackoff = absl::Seconds(5);           // the longest wait of all

struct RetryTools {
  Clock& clock;
  Sleeper& sleeper;
  crypto::Random& random;
};

// How a try went, and how long the other side asks to be left alone (Retry-After), if it does.
struct TryResult {
  Status status;
  absl::Duration retry_after = absl::ZeroDuration();
};

// Calls `attempt`, at least once, with what is left of `budget` until it succeeds, fails with a cause that is
// not transient (IsTransient), or no time is left for another wait and try. Returns the last status, but that
// of a try which ran out of time only where there was none before.
Status Retry(const RetryTools& tools, absl::Duration budget,
             const std::function<TryResult(absl::Duration left)>& attempt);

}  // namespace keyhold::kms
