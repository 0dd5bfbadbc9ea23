// The keys that authenticate identities, one per data key, each derived once: deriving one costs several
// times what an identity's tag does.
#pragma once

#include <map>
#include <shared_mutex>

#include "crypto/hash.h"
#include "crypto/secret.h"
#include "keyring/data_keys.h"

namespace keyhold::store {

// Safe to use from any thread.
class IdentityKeys {
 public:
  // HMAC-SHA-256 of `bytes` under the identity key of data key `id` of `keys`, which is the same at each
  // call. Errors as of DataKeySource::Find: a data key that was destroyed authenticates nothing any more.
  StatusOr<crypto::Sha256Digest> Mac(const keyring::DataKeySource& keys, keyring::DataKeyId id,
                                     crypto::Bytes bytes);

 private:
  std::shared_mutex mutex_;
  std::map<keyring::DataKeyId, crypto::SecretBytes> keys_;  // guarded by mutex_
};

}  // namespace keyhold::store
