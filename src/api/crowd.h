// The connections of a server that has a thread for so many of them, and where each waits for its client.
// While there are more than threads, the one that has been at its request for the longest makes room: a
// client that means it is done in a moment.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <set>
#include <utility>

namespace keyhold::api {

// Safe to use from any thread.
class Crowd {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  // Before the first arrives.
  void set_room(size_t threads) { room_ = threads; }

  // A connection, from accept until before its socket is closed.
  void Arrive();
  void Leave(int socket);

  // While it lives, `socket` waits for its client, in a request that began at `since`, and may be shut down.
  class Waiting {
   public:
    Waiting(Crowd& crowd, int socket, Instant since);
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Crowd& crowd_;
    const std::pair<Instant, int> entry_;
  };

 private:
  void MakeRoom();

  size_t room_ = 0;
  std::mutex mutex_;
  size_t here_ = 0;  // guarded by mutex_, as all below
  std::set<std::pair<Instant, int>> waiting_;
  std::set<int> cut_;  // sockets that were shut down and have not left
};

}  // namespace keyhold::api
