// The operations of AWS KMS, one function each, for the table in kms.cc. Each gets a call that is
// authenticated; those on a key also the key, which exists, is in a state that allows the operation, and on
// which the caller may do it.
#pragma once

#include "localcloud/aws/kms/key_access.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::aws {

struct KmsCall {
  Call& call;
  KeyStore keys;
};

// What key states an operation allows; others answer DisabledException or KMSInvalidStateException.
enum class StateRule { kAny, kNotPending, kEnabled, kPending };
Status CheckState(const KmsKey& key, StateRule rule);

// InvalidKeyUsageException unless `key` is symmetric and for encryption.
Status CheckSymmetric(const KmsKey& key, const std::string& operation);

Json KeyMetadata(KmsCall& kms, const KmsKey& key);
double EpochSeconds(absl::Time time);

// One page of `items`, each with the text it is sorted by, under `member`; Limit and Marker are the
// request's.
using PageItems = std::vector<std::pair<std::string, Json>>;
StatusOr<Json> Page(const Json& in, const char* member, const PageItems& items, int64_t default_limit);

// keys.cc
StatusOr<Json> CreateKey(KmsCall& kms, const Json& in);
StatusOr<Json> ListKeys(KmsCall& kms, const Json& in);
StatusOr<Json> DescribeKey(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> UpdateKeyDescription(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> DisableKey(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> EnableKey(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> ScheduleKeyDeletion(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> CancelKeyDeletion(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> ListGrants(KmsCall& kms, KmsKey& key, const Json& in);

// policies.cc
StatusOr<Json> GetKeyPolicy(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> PutKeyPolicy(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> ListKeyPolicies(KmsCall& kms, KmsKey& key, const Json& in);

// crypto.cc
StatusOr<Json> Encrypt(KmsCall& kms, const Json& in);
StatusOr<Json> Decrypt(KmsCall& kms, const Json& in);
StatusOr<Json> ReEncrypt(KmsCall& kms, const Json& in);
StatusOr<Json> GenerateDataKey(KmsCall& kms, const Json& in);
StatusOr<Json> GenerateDataKeyWithoutPlaintext(KmsCall& kms, const Json& in);

// aliases.cc
StatusOr<Json> CreateAlias(KmsCall& kms, const Json& in);
StatusOr<Json> UpdateAlias(KmsCall& kms, const Json& in);
StatusOr<Json> DeleteAlias(KmsCall& kms, const Json& in);
StatusOr<Json> ListAliases(KmsCall& kms, const Json& in);

// rotation.cc
StatusOr<Json> EnableKeyRotation(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> DisableKeyRotation(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> GetKeyRotationStatus(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> RotateKeyOnDemand(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> ListKeyRotations(KmsCall& kms, KmsKey& key, const Json& in);

// tags.cc. TagsOf() reads the Tags member of a request.
StatusOr<std::map<std::string, std::string>> TagsOf(const Json& in);
StatusOr<Json> TagResource(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> UntagResource(KmsCall& kms, KmsKey& key, const Json& in);
StatusOr<Json> ListResourceTags(KmsCall& kms, KmsKey& key, const Json& in);

}  // namespace keyhold::localcloud::aws
