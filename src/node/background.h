// A thread of a node's own for one piece of work that must not hold up the probe: it may wait for PostgreSQL
// or for another KMS.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/time/time.h"

namespace keyhold::node {

// Safe to use from any thread.
class Background {
 public:
  // Runs `work` after each Wake(), and once more when the time that it returned last has passed
  // (InfiniteDuration: only when woken). Runs of it never overlap.
  explicit Background(std::function<absl::Duration()> work);
  // Waits for the run that is under way.
  ~Background();

  void Wake();

 private:
  void Run();

  const std::function<absl::Duration()> work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;  // guarded by mutex_, as is ending_
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace keyhold::node
