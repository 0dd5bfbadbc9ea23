// The bell of the control plane: rung after each change, heard by everyone who waits for one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "absl/time/time.h"

namespace keyhold::control {

// Safe to use from any thread.
class Changes {
 public:
  void Notify();

  // Until `done` says so, asked now and after each Notify(); at most `timeout` of real time. The last answer
  // of `done`. `done` may take the store's lock.
  bool Await(absl::Duration timeout, const std::function<bool()>& done);

  // Ends every Await(), those to come as well.
  void Close();

 private:
  std::mutex mutex_;
  std::condition_variable rung_;
  uint64_t revision_ = 0;  // guarded by mutex_, as is closed_
  bool closed_ = false;
};

}  // namespace keyhold::control
