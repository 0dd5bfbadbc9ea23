// What server, agent and node tell each other about one node: its desired state (down) and its status (up),
// as JSON.
//
// Fields a reader does not know are ignored, missing ones keep their defaults, wrong types are
// kInvalidArgument: the two sides may be of neighbouring versions. Values only; safe to copy between threads.
// docs/architecture.md says who sends what to whom.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace keyhold::wire {

// A key spec as it travels. It has passed kms::ParseKeySpec on the server; the node parses it again.
struct KeySpec {
  std::string type;  // AWS_KMS, GCP_CLOUD_KMS, AZURE_KEY_VAULT, NULL_KMS
  std::string uri;
  std::string auth_principal;  // empty: the platform's own principal

  bool operator==(const KeySpec&) const = default;
};

struct SqlUser {
  std::string name;
  std::string
      scram_verifier;  // as in pg_authid.rolpassword: SCRAM-SHA-256$4096:...; the password goes nowhere

  bool operator==(const SqlUser&) const = default;
};

// CMEK as wanted. A PUT with the same URI is a new generation too: the key may have a new version.
struct DesiredCmek {
  uint64_t generation = 0;
  KeySpec key_spec;
};

struct DesiredNode {
  uint64_t generation = 0;  // grows with every change
  std::string node_id;
  std::string cluster_id;
  std::string cluster_name;
  std::string organization_id;
  std::string cloud;   // AWS, GCP, AZURE
  std::string region;  // us-east-1
  std::optional<DesiredCmek> cmek;
  bool revoked = false;    // REVOKE was asked for: lock, and stay locked until a newer cmek generation
  std::string sql_listen;  // "127.0.0.1:26257"
  int64_t probe_interval_ms = 2000;        // between two proofs that the key may be used
  int64_t unreachable_grace_ms = 900'000;  // how long to serve on while the KMS cannot be reached
  int64_t data_key_max_age_s =
      int64_t{30} * 86400;             // then another one takes its place, and the data goes over to it
  std::vector<std::string> allowlist;  // CIDRs that may connect
  std::vector<SqlUser> sql_users;
  std::string recovery_public_key;  // PEM, that the store key is sealed to besides; empty: none
  // What the node has reported once: an older key ring or store was put back. Grow without a new generation.
  uint64_t min_key_ring_epoch = 0;
  uint64_t min_store_generation = 0;
};

enum class NodeState { kStarting, kServing, kLocking, kLocked, kStopping, kStopped, kFailed };

// Why and since when something is not as it should be. `cause` is a CauseName, or "REVOKED" for a customer's
// REVOKE.
struct Trouble {
  std::string cause;
  std::string message;
  std::string since;  // RFC 3339, UTC

  bool operator==(const Trouble&) const = default;
};

// What a scan of a node's whole store found when re-encryption ended: nothing under an older data key.
struct Evidence {
  std::string started_at;  // RFC 3339, UTC: when the re-encryption began
  std::string proved_at;   // when the scan ended
  uint64_t blocks = 0;     // scanned: sectors of 4 KiB with data, and with maps of such
  uint64_t others = 0;     // identities, names, links' targets, extended attributes
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t links = 0;

  bool operator==(const Evidence&) const = default;
};

// How far a store's re-encryption under its active data key is. `state`: WAITING (closed, or about to begin),
// COUNTING, REWRITING, PROVING, DONE, FAILED (it is tried again).
struct Reencryption {
  std::string state;
  double percent = 0;             // of the whole, the proof included; 100 at DONE and only then
  uint64_t blocks_total = 0;      // sectors of 4 KiB
  uint64_t blocks_done = 0;       // of them, known to be under the active data key
  double bytes_per_second = 0;    // read and written
  int64_t remaining_s = -1;       // at that rate; -1: nothing can be said yet
  std::string started_at;         // RFC 3339; of this run, as all figures: one that was cut off begins anew
  std::string failure;            // at FAILED: why
  std::optional<Evidence> proof;  // at DONE

  bool operator==(const Reencryption&) const = default;
};

// The version of a CMEK key that wrapped a store key.
struct KeyVersion {
  std::string name;  // the KMS's own: "3"
  // Nothing in the store depends on this version any more, whatever is with the others of its key.
  bool may_be_destroyed = false;

  bool operator==(const KeyVersion&) const = default;
};

// One CMEK key that this node's store key is or was wrapped by.
struct KeyInfo {
  KeySpec spec;
  std::string status;  // CMEKStatus of the Cloud API: ENABLED, DISABLED, ENABLE_FAILED ...
  std::string user_message;
  std::string created_at;  // RFC 3339, UTC
  std::string updated_at;
  // Nothing in the store depends on it any more, nor on any version of it; `evidence` says since when and how
  // it is known that nothing depends on what was wrapped in this key's time.
  bool may_be_destroyed = false;
  std::optional<Evidence> evidence;
  std::optional<KeyVersion> version = std::nullopt;  // empty: the KMS did not tell
};

// What a node's store knows of recovery keys.
struct Recovery {
  std::string key_id;      // the fingerprint of the one that it is sealed to; empty: none
  std::string created_at;  // RFC 3339, UTC: since when
  std::string used_at;     // when one opened the store without its KMS last; empty: never

  bool operator==(const Recovery&) const = default;
};

struct NodeStatus {
  uint64_t version = 0;  // grows with every change of this status
  std::string node_id;
  uint64_t observed_generation = 0;  // of the desired state that this status speaks of
  uint64_t cmek_generation = 0;      // the last cmek generation that was carried out or failed
  NodeState state = NodeState::kStarting;
  std::string cmek_status = "DISABLED";  // CMEKStatus of the Cloud API
  std::vector<KeyInfo> keys;             // newest first
  std::optional<Trouble> lock;           // why it is locked
  std::optional<Trouble> warning;        // KMS unreachable or throttled: still serving
  std::string locks_at;                  // with a warning: when it will lock, RFC 3339
  std::string failure;                   // why it is kFailed, or why a cmek operation failed
  uint64_t key_ring_epoch = 0;
  uint64_t store_generation = 0;
  std::string last_probe_at;                 // RFC 3339; the last probe that succeeded
  std::string sql_address;                   // where the gateway listens
  std::string ca_pem;                        // the certificate that verifies it
  std::optional<Reencryption> reencryption;  // empty: there never was anything to re-encrypt
  std::optional<Recovery> recovery;          // empty: no recovery key, and none was ever used
  std::string accepted_at;  // when its store was accepted as it was put back last, RFC 3339; empty: never
};

// One line of a key check.
struct CheckStep {
  std::string name;    // "kms:Encrypt", "region" ...
  std::string result;  // PASS, WARN, FAIL
  std::string cause;   // a CauseName, when FAIL
  std::string message;
  int64_t micros = 0;
};

struct CheckReport {
  bool usable = false;  // nothing failed
  std::vector<CheckStep> steps;
};

std::string_view NodeStateName(NodeState state);

nlohmann::json ToJson(const KeySpec&);
nlohmann::json ToJson(const DesiredNode&);
nlohmann::json ToJson(const NodeStatus&);
nlohmann::json ToJson(const CheckReport&);
nlohmann::json ToJson(const Evidence&);
nlohmann::json ToJson(const KeyVersion&);
nlohmann::json ToJson(const Reencryption&);

StatusOr<KeySpec> KeySpecFromJson(const nlohmann::json&);
StatusOr<DesiredNode> DesiredNodeFromJson(const nlohmann::json&);
StatusOr<NodeStatus> NodeStatusFromJson(const nlohmann::json&);
StatusOr<CheckReport> CheckReportFromJson(const nlohmann::json&);

}  // namespace keyhold::wire
