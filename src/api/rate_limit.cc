#include "api/rate_limit.h"

#include <algorithm>

namespace keyhold::api {
namespace {

constexpr size_t kManyBuckets = 1024;

}  // namespace

absl::Duration RateLimit::Take(const std::string& key, absl::Time now) {
  if (per_second_ <= 0) return absl::ZeroDuration();
  const std::lock_guard lock(mutex_);
  if (buckets_.size() > kManyBuckets) DropFull(now);
  Bucket& bucket = buckets_.try_emplace(key, Bucket{static_cast<double>(per_second_), now}).first->second;
  // A clock that was set back gives nothing and takes nothing.
  const double passed = std::max(0.0, absl::ToDoubleSeconds(now - bucket.at));
  bucket.left = std::min<double>(per_second_, bucket.left + passed * per_second_);
  bucket.at = now;
  if (bucket.left < 1) return absl::Seconds((1 - bucket.left) / per_second_);
  bucket.left -= 1;
  return absl::ZeroDuration();
}

void RateLimit::DropFull(absl::Time now) {
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.at >= absl::Seconds(1); });
}

}  // namespace keyhold::api
