// The door to a node's SQL: a proxy of the PostgreSQL protocol between clients, who come over TLS, and one
// PostgreSQL on a Unix socket.
//
// It stands where a node locks: it ends sessions and refuses new ones with a sentence, while PostgreSQL is
// being stopped. Passwords go through it as SCRAM messages that it cannot read. It answers CockroachDB's SHOW
// CLUSTER SETTING and type names by rewriting them into PostgreSQL's words (gateway/rewrite.h), and relays
// everything else as it is. Protocol: PostgreSQL 15 documentation, chapter 55; docs/gateway.md says what a
// client sees.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace keyhold::gateway {

// What a client may take before it has said who it is, and how much the gateway holds for it afterwards.
struct GatewayLimits {
  int max_sessions = 4000;             // connections of any state; the next one is told 53300
  int max_starting = 1000;             // of these, not logged in; the next one takes the oldest's place
  int startup_timeout_ms = 15'000;     // to a whole startup message, TLS included; again, to be logged in
  int end_timeout_ms = 1'000;          // what Lock() gives a client to take the message that is on its way
  size_t max_rewrite_bytes = 4 << 20;  // a longer statement is relayed as it is
};

// The value of a cluster setting, asked for at every SHOW. Called on the gateway's threads; must not block.
using SettingValue = std::function<std::string()>;

struct GatewayOptions {
  std::string listen = "127.0.0.1:0";  // ADDR:PORT, [ADDR]:PORT for IPv6; port 0: a free one
  std::string upstream_socket;         // the socket itself, DIR/.s.PGSQL.5432; at most 107 bytes
  std::string certificate_path;        // PEM chain, leaf first
  std::string key_path;                // PEM, unencrypted
  std::vector<std::string> allowlist;  // as SetAllowlist()
  std::map<std::string, SettingValue> cluster_settings;  // by name in lower case
  GatewayLimits limits;
  int threads = 2;
};

// Why a node does not serve, in the words that its clients are to read.
struct LockReason {
  Cause cause = Cause::kUnavailable;
  std::string message;   // a sentence without a full stop that names the key and the cause
  std::string hint;      // the next step; empty: the usual one for `cause`
  std::string sqlstate;  // empty: sqlstate.h's choice
};

struct GatewayStats {
  uint64_t sessions = 0;            // open now, whatever their state
  uint64_t relayed = 0;             // of these, connected to PostgreSQL
  uint64_t accepted = 0;            // since the start, as all below
  uint64_t refused = 0;             // told FATAL by the gateway before they reached PostgreSQL
  uint64_t ended = 0;               // told FATAL by Lock()
  uint64_t cancels = 0;             // CancelRequests that named a session
  uint64_t rewritten = 0;           // statements sent on in other words
  uint64_t bytes_from_clients = 0;  // decrypted
  uint64_t bytes_to_clients = 0;
};

// Safe to use from any thread but its own. Locked until the first Unlock(). Destroying it closes its port and
// every connection, without a message: Lock() first to be polite.
class Gateway {
 public:
  // Binds and listens at once; clients get a TLS session and the reason why they must wait.
  // kInvalidArgument: address, CIDR, path or PEM; kIo: the port is busy (ErrnoOf is EADDRINUSE) or a file
  // cannot be read.
  static StatusOr<std::unique_ptr<Gateway>> Start(GatewayOptions options);
  virtual ~Gateway() = default;

  // The port that it listens on.
  virtual uint16_t port() const = 0;

  // Who may connect: CIDRs such as 10.0.0.0/8, 2001:db8::/32, or plain addresses. Empty: nobody; loopback is
  // no exception. Sessions that are open stay. kInvalidArgument names the first wrong entry, and the list
  // before stays in force.
  virtual Status SetAllowlist(const std::vector<std::string>& cidrs) = 0;

  // Shows another certificate from the next handshake on; open sessions go on. Errors as of Start(), and the
  // one before stays in use.
  virtual Status RenewCertificate(const std::string& certificate_path, const std::string& key_path) = 0;

  // Refuses new sessions and ends open ones with FATAL, SQLSTATE and `reason`, at the end of the protocol
  // message that a client is just being sent. Returns when every connection to PostgreSQL is closed, at most
  // limits.end_timeout_ms later. While locked, it replaces the reason.
  virtual void Lock(const LockReason& reason) = 0;

  // From here on sessions reach PostgreSQL.
  virtual void Unlock() = 0;

  virtual GatewayStats stats() const = 0;
};

}  // namespace keyhold::gateway
