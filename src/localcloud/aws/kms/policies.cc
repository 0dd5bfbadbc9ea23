#include <nlohmann/json.hpp>

#include "localcloud/aws/error.h"
#include "localcloud/aws/kms/input.h"
#include "localcloud/aws/kms/operations.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr size_t kMaxPolicy = 32768;

// The one policy of a key is called "default".
Status CheckPolicyName(const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(auto name, OptionalString(in, "PolicyName", 128));
  if (!name || *name == "default") return OkStatus();
  return AwsError("NotFoundException", "No such policy exists");
}

}  // namespace

StatusOr<Json> GetKeyPolicy(KmsCall&, KmsKey& key, const Json& in) {
  KEYHOLD_RETURN_IF_ERROR(CheckPolicyName(in));
  return Json{{"Policy", key.policy}, {"PolicyName", "default"}};
}

StatusOr<Json> PutKeyPolicy(KmsCall& kms, KmsKey& key, const Json& in) {
  KEYHOLD_RETURN_IF_ERROR(CheckPolicyName(in));
  KEYHOLD_ASSIGN_OR_RETURN(std::string policy, RequiredString(in, "Policy", 131072));
  KEYHOLD_ASSIGN_OR_RETURN(bool bypass, OptionalBool(in, "BypassPolicyLockoutSafetyCheck"));
  if (policy.size() > kMaxPolicy) {
    return AwsError("LimitExceededException", "The key policy exceeds the limit of 32768 bytes.");
  }
  KEYHOLD_RETURN_IF_ERROR(CheckKeyPolicy(kms.call, key, policy, bypass));
  key.policy = policy;
  kms.keys.Put(key);
  return Json::object();
}

StatusOr<Json> ListKeyPolicies(KmsCall&, KmsKey&, const Json& in) {
  return Page(in, "PolicyNames", {{"default", "default"}}, 100);
}

}  // namespace keyhold::localcloud::aws
