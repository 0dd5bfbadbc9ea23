#include <nlohmann/json.hpp>

#include "localcloud/gcp/kms/operations.h"

namespace keyhold::localcloud::gcp {

StatusOr<Json> GetIamPolicy(Call& call, const Resource& resource) {
  if (resource.level == Level::kRing) {
    KEYHOLD_ASSIGN_OR_RETURN(const KeyRing ring, RingOf(call.store, resource));
    return AnswerPolicy(call, ring.policy);
  }
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKey key, KeyOf(call.store, resource));
  return AnswerPolicy(call, key.policy);
}

StatusOr<Json> SetIamPolicy(Call& call, const Resource& resource) {
  if (resource.level == Level::kRing) {
    KEYHOLD_ASSIGN_OR_RETURN(KeyRing ring, RingOf(call.store, resource));
    KEYHOLD_ASSIGN_OR_RETURN(const Json policy, NewPolicy(call, ring.policy));
    ring.policy = policy.dump();
    call.store.PutRing(ring);
    return policy;
  }
  KEYHOLD_ASSIGN_OR_RETURN(CryptoKey key, KeyOf(call.store, resource));
  KEYHOLD_ASSIGN_OR_RETURN(const Json policy, NewPolicy(call, key.policy));
  key.policy = policy.dump();
  call.store.PutKey(key);
  return policy;
}

StatusOr<Json> TestIamPermissions(Call& call, const Resource& resource) {
  return TestPermissions(call, TargetOf(call.store, resource));
}

}  // namespace keyhold::localcloud::gcp
