#include "control/changes.h"

#include <chrono>

namespace keyhold::control {

void Changes::Notify() {
  {
    const std::lock_guard lock(mutex_);
    ++revision_;
  }
  rung_.notify_all();
}

bool Changes::Await(absl::Duration timeout, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  std::unique_lock lock(mutex_);
  while (true) {
    const uint64_t seen = revision_;
    lock.unlock();
    if (done()) return true;
    lock.lock();
    const auto woken = [&] { return closed_ || revision_ != seen; };
    if (!rung_.wait_until(lock, deadline, woken) || closed_) return false;
  }
}

void Changes::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  rung_.notify_all();
}

}  // namespace keyhold::control
