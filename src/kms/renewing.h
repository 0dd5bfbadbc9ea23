// Something that ends, kept until it is time for the next: access tokens, a role's credentials.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/status.h"

namespace keyhold::kms {

// T has a member `expires`, an absl::Time. Keeps what `fetch` gave, and fetches again when less than `before`
// is left of it. While `fetch` fails for a transient cause, what is still valid is handed out; another error,
// a refusal, is the result at once. Safe to use from any thread.
template <typename T>
class Renewing {
 public:
  using Value = std::shared_ptr<const T>;
  using Fetch = std::function<StatusOr<Value>(absl::Duration budget)>;

  // `clock` must outlive this. `fetch` may be called from several threads at once.
  Renewing(Fetch fetch, absl::Duration before, Clock& clock)
      : fetch_(std::move(fetch)), before_(before), clock_(clock) {}

  StatusOr<Value> Get(absl::Duration budget) {
    const Value current = Kept();
    const absl::Time now = clock_.Now();
    if (current != nullptr && current->expires - now > before_) return current;
    // Not under the lock: who hangs must not hold up who has what it needs. Two may ask; both are answered.
    StatusOr<Value> fetched = fetch_(budget);
    if (!fetched.ok()) {
      const bool usable =
          current != nullptr && current->expires > now && IsTransient(CauseOf(fetched.status()));
      return usable ? StatusOr<Value>(current) : fetched;
    }
    const std::lock_guard lock(mutex_);
    value_ = *fetched;
    return fetched;
  }

  // `value` was refused, whatever its time: it is not handed out again.
  void Forget(const Value& value) {
    const std::lock_guard lock(mutex_);
    if (value_ == value) value_.reset();
  }

 private:
  Value Kept() {
    const std::lock_guard lock(mutex_);
    return value_;
  }

  const Fetch fetch_;
  const absl::Duration before_;
  Clock& clock_;
  std::mutex mutex_;
  Value value_;  // guarded by mutex_
};

}  // namespace keyhold::kms
