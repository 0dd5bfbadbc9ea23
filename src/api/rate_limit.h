// How often an API key may call: the Cloud API's 10 requests per second and key.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "absl/time/time.h"

namespace keyhold::api {

inline constexpr int kRequestsPerSecond = 10;

// A bucket for each key, which holds one second's requests and fills again evenly. Safe to use from any
// thread.
class RateLimit {
 public:
  // `per_second`: 0 is no limit.
  explicit RateLimit(int per_second) : per_second_(per_second) {}

  // Takes one request of `key` at `now`: zero when it may pass, else how long until the next one may.
  absl::Duration Take(const std::string& key, absl::Time now);

 private:
  struct Bucket {
    double left = 0;
    absl::Time at = absl::InfinitePast();
  };
  void DropFull(absl::Time now);

  const int per_second_;
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;  // guarded by mutex_
};

}  // namespace keyhold::api
