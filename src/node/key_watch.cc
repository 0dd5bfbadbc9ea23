#include "node/key_watch.h"

#include <algorithm>

namespace keyhold::node {

void KeyWatch::Reset() { *this = KeyWatch(); }

Verdict KeyWatch::Judge(const Status& probe, absl::Time now, const ProbeTiming& timing) {
  if (probe.ok()) {
    Reset();
    return {Verdict::kUsable, timing.interval};
  }
  const Cause cause = CauseOf(probe);
  return IsRevocation(cause) ? Refused() : NotAnswered(cause, now, timing);
}

Verdict KeyWatch::Refused() {
  if (suspected_) return {Verdict::kLost, absl::ZeroDuration()};
  suspected_ = true;
  return {Verdict::kServeOn, absl::ZeroDuration()};
}

Verdict KeyWatch::NotAnswered(Cause cause, absl::Time now, const ProbeTiming& timing) {
  const bool first = silent_since_ == absl::InfiniteFuture();
  silent_since_ = std::min(silent_since_, now);
  Verdict verdict{Verdict::kServeOn, timing.interval, silent_since_, silent_since_ + timing.grace};
  if (!first && now >= verdict.locks_at) {
    verdict.kind = Verdict::kLost;
    return verdict;
  }
  if (cause == Cause::kKmsThrottled) {
    throttle_ = std::clamp(2 * throttle_, timing.interval, std::max(timing.interval, kLongestThrottle));
    verdict.next = throttle_;
  } else {
    throttle_ = absl::ZeroDuration();
  }
  if (suspected_) {
    verdict.next = std::min(verdict.next, confirm_);
    confirm_ *= 2;
  }
  verdict.next = std::min(verdict.next, verdict.locks_at - now);
  return verdict;
}

}  // namespace keyhold::node
