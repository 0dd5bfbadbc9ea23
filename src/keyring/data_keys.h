// Data keys, as the store sees them: the seam between the key ring and the store.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "crypto/secret.h"

namespace keyhold::keyring {

// Never 0, never used twice in one key ring.
using DataKeyId = uint32_t;

using DataKey = crypto::Key<struct DataKeyTag>;

// Boxes that AES-GCM may seal under one key with random 96 bit nonces (NIST SP 800-38D, section 8.3). Counted
// per data key, for all keys that are derived from it together: none of them comes near it.
inline constexpr uint64_t kMostSeals = uint64_t{1} << 32;

// In boxes under one data key. Tests give smaller ones.
struct SealLimits {
  uint64_t next_key = kMostSeals / 2;    // before more than this another key becomes active
  uint64_t most = kMostSeals;            // where none could be made: more are refused; at most kMostSeals
  uint64_t reserve = uint64_t{1} << 22;  // so many are written down ahead of their use
};

// Safe to use from any thread.
class DataKeySource {
 public:
  virtual ~DataKeySource() = default;

  // The key that new blocks are written under. It changes when the key ring is rewrapped.
  virtual DataKeyId Active() const = 0;

  // A copy of the key, which the caller keeps for as long as it likes: expand it once and keep that.
  // kNotFound for an id that this key ring never gave out, kFailedPrecondition for one whose key was
  // destroyed.
  virtual StatusOr<DataKey> Find(DataKeyId id) const = 0;

  // The active key, for `count` boxes that are then sealed under keys derived from it. They are counted, on
  // the disk: what is returned here is never forgotten, whatever crashes. An atomic addition but for one call
  // of millions, which writes. kResourceExhausted: the key is used up and no other can be made. Where the
  // disk refuses to write the count for long: its error.
  virtual StatusOr<DataKeyId> KeyToSeal(uint64_t count) const = 0;
};

}  // namespace keyhold::keyring
