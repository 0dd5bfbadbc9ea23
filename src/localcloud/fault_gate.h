// The gate that every request of the three clouds passes once it is served and before it is answered: it
// decides whether a fault was ordered for it, and what then becomes of the answer.
//
// Faults live in memory: they end with the local cloud's process at the latest. Safe to use from any thread.
#pragma once

#include <mutex>
#include <optional>

#include "base/clock.h"
#include "crypto/random.h"
#include "localcloud/fault.h"
#include "localcloud/http.h"

namespace keyhold::localcloud {

// What one request meets: the one fault that decides, and the latencies of all.
struct FaultHit {
  std::optional<FaultKind> kind;
  uint64_t id = 0;
  absl::Duration delay = absl::ZeroDuration();
  absl::Duration retry_after = absl::InfiniteDuration();
};

class FaultGate {
 public:
  // `clock` must outlive the object.
  explicit FaultGate(Clock& clock) : clock_(clock) {}

  // Its id. kInvalidArgument: see CheckOrder(). kResourceExhausted: there are 1,000 already.
  StatusOr<uint64_t> Add(const FaultOrder& order);
  // Those that have not ended, oldest first.
  std::vector<Fault> List();
  // kNotFound: no fault has this id; it may have ended.
  Status Clear(uint64_t id);
  void ClearAll();

  // The oldest fault that is about this request decides; latencies add up. Counts it, and says so in `entry`.
  FaultHit Decide(AccessEntry& entry, bool served);

 private:
  void DropEnded();

  Clock& clock_;
  std::mutex mutex_;
  std::vector<Fault> faults_;
  uint64_t last_id_ = 0;
};

// True where nothing of the request is to be carried out.
inline bool Refuses(const FaultHit& hit) { return hit.kind && Refuses(*hit.kind); }
// True where the client is told nothing at all.
inline bool IsSilent(const FaultHit& hit) {
  return hit.kind == FaultKind::kHang || hit.kind == FaultKind::kUnreachable;
}

// Makes of the cloud's own answer what `hit` wants: delays, cuts, replaces, falsifies it.
void Distort(const FaultHit& hit, crypto::Random& random, HttpResponse& response);

}  // namespace keyhold::localcloud
