// Who tries API keys that are none: counted by address, so that guessing is slow and seen.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "absl/time/time.h"

namespace keyhold::api {

inline constexpr int kFailuresAllowed = 20;
inline constexpr absl::Duration kFailureWindow = absl::Minutes(1);

// Safe to use from any thread. A valid key always passes: whoever shares an address with one who guesses is
// not kept out, and nobody guesses 238 bits.
class FailedLogins {
 public:
  // After `allowed` failures within kFailureWindow an address is locked out, of IPv6 its /64; 0: never.
  explicit FailedLogins(int allowed) : allowed_(allowed) {}

  // One more from `address`. Zero: it may be told what is wrong; else it is locked out, and for how long.
  absl::Duration Add(const std::string& address, absl::Time now);

 private:
  struct Count {
    int failures = 0;
    absl::Time since = absl::InfinitePast();
  };
  const int allowed_;
  std::mutex mutex_;
  std::map<std::string, Count> counts_;  // by network; guarded by mutex_
};

}  // namespace keyhold::api
