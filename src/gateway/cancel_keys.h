// The secrets with which clients cancel queries: the gateway tells each session a secret of its own, so that
// PostgreSQL's never leaves the machine, and finds the real one when a CancelRequest names it.
//
// Process ids are PostgreSQL's own: pg_backend_pid() and NOTIFY agree with what the client was told.
// Safe to use from any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "crypto/random.h"

namespace keyhold::gateway {

class CancelKeys {
 public:
  explicit CancelKeys(crypto::Random& random) : random_(random) {}

  // Returns the secret for the client. A process id that is already there has been given to a new process.
  uint32_t Add(uint32_t pid, uint32_t server_secret);
  // Nothing when `client_secret` is not (or no longer) the one of `pid`.
  void Remove(uint32_t pid, uint32_t client_secret);
  // The server's secret. Compares in constant time.
  std::optional<uint32_t> Find(uint32_t pid, uint32_t client_secret) const;

 private:
  struct Pair {
    uint32_t client = 0;
    uint32_t server = 0;
  };

  crypto::Random& random_;
  mutable std::mutex mutex_;
  std::unordered_map<uint32_t, Pair> by_pid_;  // guarded by mutex_
};

}  // namespace keyhold::gateway
