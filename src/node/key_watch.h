// What a node makes of the answers that its probes get: serve, warn, or lock.
//
// Pure: it is told the time. A refusal locks when the next answer is one too, however many tries without an
// answer lie between; a KMS that does not answer, throttles, or answers what does not verify is borne for the
// grace, and for a second try in any case.
#pragma once

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::node {

struct ProbeTiming {
  absl::Duration interval;  // between two probes
  absl::Duration grace;     // how long a KMS that does not answer is borne
};

// The longest time between the probes of a node that is throttled: a refusal is noticed within it.
inline constexpr absl::Duration kLongestThrottle = absl::Seconds(30);
// From a refusal to the first try that is to confirm it and has no answer either; each next one comes later.
inline constexpr absl::Duration kConfirmAfter = absl::Milliseconds(200);

struct Verdict {
  enum Kind { kUsable, kServeOn, kLost } kind = kUsable;
  absl::Duration next;                           // until the next probe
  absl::Time since = absl::InfiniteFuture();     // kServeOn without an answer: since when
  absl::Time locks_at = absl::InfiniteFuture();  // and when the grace ends; InfiniteFuture: no warning yet
};

// For one thread.
class KeyWatch {
 public:
  // `probe` is what a probe that ended at `now` has given.
  Verdict Judge(const Status& probe, absl::Time now, const ProbeTiming& timing);

  // The node was opened or closed: nothing is held against the key.
  void Reset();

 private:
  Verdict Refused();
  Verdict NotAnswered(Cause cause, absl::Time now, const ProbeTiming& timing);

  bool suspected_ = false;  // refused once, and not answered since
  absl::Time silent_since_ = absl::InfiniteFuture();
  absl::Duration throttle_ = absl::ZeroDuration();
  absl::Duration confirm_ = kConfirmAfter;
};

}  // namespace keyhold::node
