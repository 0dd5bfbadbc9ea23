// What a node's parts know, in the words and types of its status.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "keyring/keyring.h"
#include "wire/node.h"

namespace keyhold::node {

inline constexpr char kRevoked[] = "REVOKED";
inline constexpr char kRecoveryUsed[] = "RECOVERY_USED";

// RFC 3339 in UTC, to the millisecond.
std::string Stamp(absl::Time time);

// The key ring's history as the Cloud API tells it, newest first; the platform's own key is no CMEK key.
std::vector<wire::KeyInfo> KeysOf(const keyring::Info& info);

// Empty: no recovery key, and none was ever used.
std::optional<wire::Recovery> RecoveryOf(const keyring::Info& info);

// The warning that a recovery key opened the store, until another key takes that one's place or none does.
std::optional<wire::Trouble> RecoveryTrouble(const std::optional<wire::Recovery>& recovery);

wire::Evidence EvidenceOf(const keyring::Proof& proof);

// `status` as a trouble since `since`.
wire::Trouble TroubleOf(const Status& status, absl::Time since);

}  // namespace keyhold::node
