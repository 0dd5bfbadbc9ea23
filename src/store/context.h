// What every part of a store works with. All of it outlives the store.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/posix.h"
#include "crypto/random.h"
#include "keyring/data_keys.h"
#include "store/identity_keys.h"

namespace keyhold::store {

using keyring::DataKeyId;

// Random, one per file and per directory, for its life.
using FileId = std::array<uint8_t, 16>;

// Gives each write a counter greater than all before it: microseconds since 1970, pushed on where the clock
// stands still or goes back. Safe to use from any thread.
class WriteCounter {
 public:
  explicit WriteCounter(const Clock& clock) : clock_(clock) {}

  // Greater than every result before, and than `floor`.
  uint64_t Next(uint64_t floor) {
    const uint64_t now = static_cast<uint64_t>(absl::ToUnixMicros(clock_.Now()));
    uint64_t last = last_.load(std::memory_order_relaxed);
    uint64_t next = 0;
    do {
      next = std::max({last + 1, floor + 1, now});
    } while (!last_.compare_exchange_weak(last, next, std::memory_order_relaxed));
    return next;
  }

 private:
  const Clock& clock_;
  std::atomic<uint64_t> last_{0};
};

struct Context {
  Posix& posix;
  crypto::Random& random;
  const keyring::DataKeySource& keys;
  WriteCounter& counter;
  std::shared_ptr<IdentityKeys> identity_keys = std::make_shared<IdentityKeys>();  // shared by all copies
};

}  // namespace keyhold::store
