// Faults to order from the local cloud: what happens to which requests, and for how long. docs/localcloud.md
// is the user's page. Plain values and their JSON, which `keyhold localcloud fault` and the running local
// cloud exchange.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "localcloud/access_log.h"

namespace keyhold::localcloud {

enum class FaultKind {
  kLatency,      // the answer, `delay` later
  kUnreachable,  // the connection closed without an answer
  kHang,         // no answer, the connection open
  kStall,        // half of the answer's body, then nothing more
  kTruncated,    // half of the answer's body, then closed
  kThrottled,    // the cloud's own refusal: too many requests
  kUnavailable,  // the cloud's own 503
  kDenied,       // the cloud's own refusal: not allowed
  kGarbage,      // success, with a body that is not this cloud's
  kOversized,    // success, with a body of 4 MiB
  kWrongType,    // success, as text/html
  kWrongKey,     // the answer says that another key was used
  kWrongSecret,  // another plaintext than was encrypted; another ciphertext
};

// Which services: the key service alone (AWS KMS, Cloud KMS, vaults), those of identities and tokens, or all.
enum class FaultScope { kKeys, kIdentity, kAll };

struct FaultOrder {
  FaultKind kind = FaultKind::kUnavailable;
  FaultScope scope = FaultScope::kKeys;
  std::string cloud;                                      // "AWS", "GCP", "AZURE"; empty: all
  std::string key, caller, action;                        // parts of the names in the access log; empty: all
  uint64_t every = 1;                                     // only each so-many-th of the requests that match
  uint64_t times = 0;                                     // ends after so many were hit; 0: does not
  absl::Duration lasts = absl::InfiniteDuration();        // ends then
  absl::Duration delay = absl::ZeroDuration();            // of kLatency
  absl::Duration retry_after = absl::InfiniteDuration();  // Retry-After of kThrottled and kUnavailable
};

// An order that was taken.
struct Fault {
  uint64_t id = 0;
  FaultOrder order;
  absl::Time ends = absl::InfiniteFuture();
  uint64_t matched = 0, hits = 0;  // requests so far
};

// "wrong-secret"; and what it does, in a line of help.
std::string_view FaultName(FaultKind kind);
std::string_view FaultMeaning(FaultKind kind);
std::vector<FaultKind> AllFaults();

// kInvalidArgument, in words: an unknown name, a latency without delay, a delay or Retry-After where nothing
// comes of it, `every` of 0, a duration that is not positive.
StatusOr<FaultKind> FaultFromName(std::string_view name);
Status CheckOrder(const FaultOrder& order);

// True where nothing of the request is carried out.
bool Refuses(FaultKind kind);

// True where `order` is about the request that `entry` tells of. `served`: it would have succeeded.
bool IsAbout(const FaultOrder& order, const AccessEntry& entry, bool served);

// In words: "throttled, of AWS, key 1234, for 30s".
std::string Describe(const FaultOrder& order);

// kInvalidArgument: not an order's (a fault's) JSON, an unknown member, or CheckOrder() refuses it.
nlohmann::json ToJson(const FaultOrder& order);
StatusOr<FaultOrder> OrderFromJson(const nlohmann::json& json);
nlohmann::json ToJson(const Fault& fault);
StatusOr<Fault> FaultFromJson(const nlohmann::json& json);

}  // namespace keyhold::localcloud
