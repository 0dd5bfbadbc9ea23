#include "store/identity_keys.h"

#include <mutex>

namespace keyhold::store {

StatusOr<crypto::Sha256Digest> IdentityKeys::Mac(const keyring::DataKeySource& keys, keyring::DataKeyId id,
                                                 crypto::Bytes bytes) {
  // The active key is there; others may have been destroyed since they were derived from.
  if (id == keys.Active()) {
    const std::shared_lock lock(mutex_);
    if (const auto found = keys_.find(id); found != keys_.end()) {
      return crypto::HmacSha256(found->second.Expose(), bytes);
    }
  }
  KEYHOLD_ASSIGN_OR_RETURN(const keyring::DataKey data_key, keys.Find(id));
  const std::unique_lock lock(mutex_);
  auto& key = keys_.try_emplace(id).first->second;
  if (key.empty()) key = crypto::Hkdf(data_key.Expose(), crypto::AsBytes("keyhold identity key v1"), 32);
  return crypto::HmacSha256(key.Expose(), bytes);
}

}  // namespace keyhold::store
