#include "node/reopening.h"

#include <algorithm>
#include <utility>

namespace keyhold::node {

void Reopening::NoteOpened(absl::Time now) {
  open_ = true;
  openings_.push_back(now);
  failed_ = kFirstFailedRetry;
}

absl::Duration Reopening::Storm(absl::Duration interval, absl::Time now) {
  std::erase_if(openings_, [&](absl::Time opening) { return opening <= now - kStormWindow; });
  absl::Duration wait = interval;
  for (size_t n = kCalmOpenings; n < openings_.size() && wait < kLongestStormRetry; ++n) wait *= 2;
  return std::clamp(wait, interval, std::max(interval, kLongestStormRetry));
}

absl::Duration Reopening::Next(ClosedBy why, absl::Duration interval, absl::Time now) {
  if (std::exchange(open_, false) && now - openings_.back() >= kLastingIntervals * interval)
    openings_.clear();
  const absl::Duration calm = Storm(interval, now);
  if (why == ClosedBy::kKeyDestroyed) return std::max(calm, kDestroyedRetry);
  if (why == ClosedBy::kKeyLost) return calm;
  const absl::Duration wait = failed_;
  failed_ = std::min(2 * failed_, kLongestFailedRetry);
  return std::max(calm, wait);
}

}  // namespace keyhold::node
