// What all sessions of a gateway share: the gate that Lock() shuts, the allowlist, the counters, the cancel
// keys, and what was fixed at the start.
//
// Safe to use from any thread. Internal to the room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "gateway/allowlist.h"
#include "gateway/cancel_keys.h"
#include "gateway/gateway.h"
#include "gateway/rewrite.h"
#include "gateway/sqlstate.h"
#include "gateway/tls.h"

namespace keyhold::gateway {

struct Counters {
  std::atomic<uint64_t> sessions = 0, accepted = 0, refused = 0, ended = 0, cancels = 0, rewritten = 0,
                        bytes_from_clients = 0, bytes_to_clients = 0;
};

class Front {
 public:
  Front(const GatewayOptions& options, Allowlist allowlist, SslContext tls);

  // Whether a client from `address` may come in now; else what it is told.
  std::optional<ErrorText> Refusal(std::string_view address) const;
  bool Allows(std::string_view address) const;
  void SetAllowlist(Allowlist allowlist);

  // What handshakes from now on are made with; those that are under way keep theirs.
  std::shared_ptr<SSL_CTX> tls() const;
  void SetTls(SslContext context);

  void Shut(const LockReason& reason);
  void Open();

  // Connections to PostgreSQL. Opened() counts one, unless the gate is shut: then false.
  bool Opened();
  void Closed();
  uint64_t upstreams() const;
  // True when all are closed; false at `deadline`.
  bool AwaitAllClosed(absl::Duration deadline);

  // Constant after construction.
  const GatewayLimits limits;
  const std::string upstream_socket;
  const ClusterSettings settings;

  Counters counters;
  CancelKeys cancel_keys;

 private:
  mutable std::mutex mutex_;
  std::condition_variable all_closed_;
  Allowlist allowlist_;  // guarded by mutex_, as all below
  std::shared_ptr<SSL_CTX> tls_;
  std::optional<LockReason> lock_;  // the gate is shut while there is one
  uint64_t upstreams_ = 0;
};

}  // namespace keyhold::gateway
