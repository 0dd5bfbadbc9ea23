// One thread's event loop over epoll(7), edge-triggered: a descriptor is registered once for both directions,
// and waiting for it costs no system call, where a wait by Asio costs an epoll_ctl(2) each time. A relay
// waits four times for each statement.
//
// What edge-triggered asks of a watcher: it waits only after a read or write that moved less than it asked
// for (or EAGAIN), and remembers readiness that came while it did not wait. Run(), every Watcher call and
// every function but Post() and Stop() happen on one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/status.h"

namespace keyhold::gateway {

// Lives until it has left its loop.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // `which`: as given to Watch(). Both may be true, and both are when the peer is gone.
  virtual void Ready(int which, bool readable, bool writable) = 0;
  // The deadline has come, and is no more.
  virtual void Expired() = 0;
};

class Loop {
 public:
  // kIo when the kernel has no descriptor left.
  static StatusOr<std::unique_ptr<Loop>> Make();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Until Stop(); posted work that came before it is done first.
  void Run();
  void Stop();
  void Post(std::function<void()> work);
  // As Post(), from the loop's own thread: after the watchers that are ready now.
  void Again(std::function<void()> work) { again_.push_back(std::move(work)); }

  // Ids are never used again. After Leave() no call to the watcher begins; its descriptors are its own to
  // close.
  uint64_t Enroll(Watcher* watcher);
  void Leave(uint64_t id);
  // From now on it is told, as `which` (0 or 1), when `fd` becomes readable; closing `fd` ends it. kIo when
  // the kernel refuses.
  Status Watch(uint64_t id, int which, int fd);
  // Whether it is told, too, when `fd` is or becomes writable. Off at first: a Unix socket becomes writable
  // whenever its peer has read, which is nothing to wake up for.
  Status WatchWritable(uint64_t id, int which, int fd, bool on);
  // One deadline per watcher; a new one replaces it, ClearDeadline() takes it away.
  void SetDeadline(uint64_t id, std::chrono::milliseconds from_now);
  void ClearDeadline(uint64_t id);

 private:
  using Clock = std::chrono::steady_clock;
  struct Enrolled {
    Watcher* watcher = nullptr;
    Clock::time_point deadline;  // the epoch: none
  };

  Loop(int epoll, int wake) : epoll_(epoll), wake_(wake) {}
  int Timeout() const;
  Status Control(int operation, uint64_t tag, int fd, uint32_t events);
  void Deliver(uint64_t tag, uint32_t events);
  void Expire();
  void DoPosted();
  void DoAgain();

  const int epoll_;
  const int wake_;  // an eventfd
  std::unordered_map<uint64_t, Enrolled> enrolled_;
  std::set<std::pair<Clock::time_point, uint64_t>> deadlines_;
  uint64_t next_id_ = 1;
  std::vector<std::function<void()>> again_;
  bool stopped_ = false;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};

}  // namespace keyhold::gateway
