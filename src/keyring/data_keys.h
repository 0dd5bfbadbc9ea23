// Data keys, as the store sees them: the seam between the key ring and the store.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "crypto/secret.h"

namespace keyhold::keyring {

// Never 0, never used twice in one key ring.
using DataKeyId = uint32_t;

using DataKey = crypto::Key<struct DataKeyTag>;

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
};

}  // namespace keyhold::keyring
