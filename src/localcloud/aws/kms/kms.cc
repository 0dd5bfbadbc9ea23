#include "localcloud/aws/kms/kms.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/kms/input.h"
#include "localcloud/aws/kms/operations.h"

namespace keyhold::localcloud::aws {
namespace {

// An operation on the key that the member KeyId names, permitted by "kms:" and its name.
struct KeyOperation {
  std::string_view name;
  StatusOr<Json> (*serve)(KmsCall&, KmsKey&, const Json&);
  StateRule states;
  KeyNames names = KeyNames::kIdsAndArns;
  bool cross_account = false;
};

// An operation that finds its keys itself, or needs none.
struct FreeOperation {
  std::string_view name;
  StatusOr<Json> (*serve)(KmsCall&, const Json&);
};

constexpr KeyOperation kKeyOperations[] = {
    {"DescribeKey", DescribeKey, StateRule::kAny, KeyNames::kIdsArnsAndAliases, true},
    {"UpdateKeyDescription", UpdateKeyDescription, StateRule::kNotPending},
    {"DisableKey", DisableKey, StateRule::kNotPending},
    {"EnableKey", EnableKey, StateRule::kNotPending},
    {"ScheduleKeyDeletion", ScheduleKeyDeletion, StateRule::kNotPending},
    {"CancelKeyDeletion", CancelKeyDeletion, StateRule::kPending},
    {"ListGrants", ListGrants, StateRule::kAny, KeyNames::kIdsAndArns, true},
    {"GetKeyPolicy", GetKeyPolicy, StateRule::kAny},
    {"PutKeyPolicy", PutKeyPolicy, StateRule::kAny},
    {"ListKeyPolicies", ListKeyPolicies, StateRule::kAny},
    {"EnableKeyRotation", EnableKeyRotation, StateRule::kEnabled},
    {"DisableKeyRotation", DisableKeyRotation, StateRule::kEnabled},
    {"GetKeyRotationStatus", GetKeyRotationStatus, StateRule::kAny, KeyNames::kIdsAndArns, true},
    {"RotateKeyOnDemand", RotateKeyOnDemand, StateRule::kEnabled},
    {"ListKeyRotations", ListKeyRotations, StateRule::kAny},
    {"TagResource", TagResource, StateRule::kNotPending},
    {"UntagResource", UntagResource, StateRule::kNotPending},
    {"ListResourceTags", ListResourceTags, StateRule::kAny},
};

constexpr FreeOperation kFreeOperations[] = {
    {"CreateKey", CreateKey},
    {"ListKeys", ListKeys},
    {"Encrypt", Encrypt},
    {"Decrypt", Decrypt},
    {"ReEncrypt", ReEncrypt},
    {"GenerateDataKey", GenerateDataKey},
    {"GenerateDataKeyWithoutPlaintext", GenerateDataKeyWithoutPlaintext},
    {"CreateAlias", CreateAlias},
    {"UpdateAlias", UpdateAlias},
    {"DeleteAlias", DeleteAlias},
    {"ListAliases", ListAliases},
};

StatusOr<Json> ServeOnKey(KmsCall& kms, const KeyOperation& operation, const Json& in) {
  std::string action = absl::StrCat("kms:", std::string(operation.name));
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, RequiredString(in, "KeyId", 2048));
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key, ResolveKey(kms.call, kms.keys, name, operation.names, action));
  if (!operation.cross_account && key.account != kms.call.principal.account) {
    return AwsError("AccessDeniedException",
                    absl::StrCat("User: ", kms.call.principal.arn, " is not authorized to perform: ", action,
                                 " on resource: ", key.Arn(),
                                 " because this operation cannot be used from another account"));
  }
  KEYHOLD_RETURN_IF_ERROR(AuthorizeKey(kms.call, key, action));
  KEYHOLD_RETURN_IF_ERROR(CheckState(key, operation.states));
  return operation.serve(kms, key, in);
}

StatusOr<Json> Dispatch(KmsCall& kms, const std::string& operation, const Json& in) {
  for (const KeyOperation& known : kKeyOperations) {
    if (known.name == operation) return ServeOnKey(kms, known, in);
  }
  for (const FreeOperation& known : kFreeOperations) {
    if (known.name == operation) return known.serve(kms, in);
  }
  if (operation == "CreateGrant" || operation == "RevokeGrant" || operation == "RetireGrant") {
    return AwsError("UnsupportedOperationException",
                    "The local cloud has no grants; give access with the key's policy (put-key-policy).");
  }
  return AwsError("UnknownOperationException",
                  "The local cloud's KMS does not have the operation '" + operation.substr(0, 64) + "'.");
}

}  // namespace

Status CheckState(const KmsKey& key, StateRule rule) {
  bool pending = key.state == "PendingDeletion";
  if (rule == StateRule::kPending && !pending) {
    return AwsError("KMSInvalidStateException", key.Arn() + " is not pending deletion.");
  }
  if (pending && (rule == StateRule::kNotPending || rule == StateRule::kEnabled)) {
    return AwsError("KMSInvalidStateException", key.Arn() + " is pending deletion.");
  }
  if (key.state == "Disabled" && rule == StateRule::kEnabled) {
    return AwsError("DisabledException", key.Arn() + " is disabled.");
  }
  return OkStatus();
}

StatusOr<Json> ServeKms(Call& call, const std::string& operation, const Json& in) {
  if (!in.is_object()) return AwsError("SerializationException", "The request must be a JSON object.");
  KmsCall kms{call, KeyStore(call.sql, call.vault)};
  call.record.action = "kms:" + operation;
  KEYHOLD_ASSIGN_OR_RETURN(bool dry_run, OptionalBool(in, "DryRun"));
  if (in.contains("Recipient")) {
    return AwsError("UnsupportedOperationException", "The local cloud has no Nitro enclaves.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(Json out, Dispatch(kms, operation, in));
  if (!dry_run) return out;
  return AwsError("DryRunOperationException",
                  "The request would have succeeded, but the DryRun option is set.");
}

Status SweepKms(soci::session& sql, const Vault& vault, absl::Time now) {
  KeyStore keys(sql, vault);
  for (KmsKey& key : keys.Due(now)) {
    if (key.deletion && *key.deletion <= now) {
      keys.Destroy(key);
      continue;
    }
    KEYHOLD_RETURN_IF_ERROR(keys.AddMaterial(key, "AUTOMATIC", *key.next_rotation).status());
    while (*key.next_rotation <= now) *key.next_rotation += absl::Hours(24 * key.rotation_period);
    keys.Put(key);
  }
  return OkStatus();
}

}  // namespace keyhold::localcloud::aws
