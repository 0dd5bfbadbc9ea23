// What a node must not forget between two runs: state.json in its directory, replaced atomically.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "wire/node.h"

namespace keyhold::node {

struct Memory {
  uint64_t key_ring_epoch = 0;    // the highest seen: an older key ring was put back
  uint64_t store_generation = 0;  // the same of the store
  uint64_t cmek_generation = 0;   // the last that was carried out, or failed for good
  std::string cmek_status = "DISABLED";
  std::string cmek_failure;  // why that one failed; empty: it did not
  std::vector<wire::KeyInfo> keys;
  std::optional<wire::Reencryption> reencryption;  // as last seen
  std::optional<wire::Recovery> recovery;          // of the key ring, likewise
  std::string accepted_at;                         // of the key ring: wire::NodeStatus
  // The key in force that was seen to wait for its deletion, and when that ends; empty, InfiniteFuture: none.
  std::string doomed_key;
  absl::Time doomed_at = absl::InfiniteFuture();
};

// An empty memory where there is no file. kCorrupt: it is damaged.
StatusOr<Memory> ReadMemory(const std::string& dir);
Status WriteMemory(const std::string& dir, const Memory& memory);

// desired.json, as the agent writes it.
StatusOr<wire::DesiredNode> ReadDesired(const std::string& dir);

}  // namespace keyhold::node
