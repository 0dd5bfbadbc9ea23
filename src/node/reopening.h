// How long a node that is closed waits until it tries to open again.
//
// Pure: it is told the time. A key that comes back is noticed within a probe's interval; what opens and
// closes all the time is slowed down, and so is what failed for another reason than the key.
#pragma once

#include <vector>

#include "absl/time/time.h"

namespace keyhold::node {

inline constexpr absl::Duration kDestroyedRetry = absl::Minutes(15);  // nobody expects such a key back
inline constexpr absl::Duration kFirstFailedRetry = absl::Seconds(5);
inline constexpr absl::Duration kLongestFailedRetry = absl::Minutes(5);
// An opening that lasted for so many intervals of the probe was no flutter, and ends a storm.
inline constexpr int kLastingIntervals = 3;
// So many shorter ones within kStormWindow are no storm; each further one doubles the wait for the next.
inline constexpr size_t kCalmOpenings = 3;
inline constexpr absl::Duration kStormWindow = absl::Minutes(5);
inline constexpr absl::Duration kLongestStormRetry = absl::Minutes(1);

enum class ClosedBy { kKeyLost, kKeyDestroyed, kFailure };

// For one thread.
class Reopening {
 public:
  void NoteOpened(absl::Time now);

  // After a try that failed, or a close, at `now`. `interval` is that of the probes.
  absl::Duration Next(ClosedBy why, absl::Duration interval, absl::Time now);

 private:
  absl::Duration Storm(absl::Duration interval, absl::Time now);

  bool open_ = false;
  std::vector<absl::Time> openings_;
  absl::Duration failed_ = kFirstFailedRetry;
};

}  // namespace keyhold::node
