#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/kms/input.h"
#include "localcloud/aws/kms/operations.h"

namespace keyhold::localcloud::aws {
namespace {

StatusOr<std::string> AliasName(const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, RequiredString(in, "AliasName", 256));
  bool plain = absl::c_all_of(name, [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           absl::string_view(":/_-").find(static_cast<char>(c)) != std::string::npos;
  });
  if (!plain)
    return ValidationError("aliasName", "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$");
  if (!absl::StartsWith(name, "alias/") || name == "alias/") {
    return AwsError("ValidationException", "Invalid identifier");
  }
  if (!absl::StartsWith(name, "alias/aws/")) return name;
  return AwsError("InvalidAliasNameException", "alias/aws/ is reserved for AWS managed keys.");
}

std::string ArnOf(const KmsCall& kms, const std::string& name) {
  return AliasArn(kms.call.endpoint.region, kms.call.principal.account, name);
}

Status AliasNotFound(const KmsCall& kms, const std::string& name) {
  return AwsError("NotFoundException", absl::StrCat("Alias ", ArnOf(kms, name), " is not found."));
}

// The key that an alias is to point to: the caller's own, and allowed by its policy.
StatusOr<KmsKey> TargetKey(KmsCall& kms, const Json& in, const std::string& action) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string target, RequiredString(in, "TargetKeyId", 2048));
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key, ResolveKey(kms.call, kms.keys, target, KeyNames::kIdsAndArns, action));
  KEYHOLD_RETURN_IF_ERROR(AuthorizeKey(kms.call, key, action));
  KEYHOLD_RETURN_IF_ERROR(CheckState(key, StateRule::kNotPending));
  if (key.account == kms.call.principal.account) return key;
  return AwsError("ValidationException", "An alias must be in the account and Region of its key.");
}

}  // namespace

StatusOr<Json> CreateAlias(KmsCall& kms, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, AliasName(in));
  KEYHOLD_RETURN_IF_ERROR(AuthorizeIdentity(kms.call, "kms:CreateAlias", ArnOf(kms, name)));
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key, TargetKey(kms, in, "kms:CreateAlias"));
  if (kms.keys.FindAlias(key.region, key.account, name)) {
    return AwsError("AlreadyExistsException",
                    absl::StrCat("An alias with the name ", ArnOf(kms, name), " already exists"));
  }
  kms.keys.PutAlias(key.region, key.account, {name, key.key_id, kms.call.now, kms.call.now});
  return Json::object();
}

StatusOr<Json> UpdateAlias(KmsCall& kms, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, AliasName(in));
  KEYHOLD_RETURN_IF_ERROR(AuthorizeIdentity(kms.call, "kms:UpdateAlias", ArnOf(kms, name)));
  auto alias = kms.keys.FindAlias(kms.call.endpoint.region, kms.call.principal.account, name);
  if (!alias) return AliasNotFound(kms, name);
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key, TargetKey(kms, in, "kms:UpdateAlias"));
  auto old_key = kms.keys.Find(key.region, alias->key_id);
  if (old_key) KEYHOLD_RETURN_IF_ERROR(AuthorizeKey(kms.call, *old_key, "kms:UpdateAlias"));
  if (old_key && (old_key->usage != key.usage ||
                  (old_key->spec == "SYMMETRIC_DEFAULT") != (key.spec == "SYMMETRIC_DEFAULT"))) {
    return AwsError("ValidationException",
                    "The current and the new key must be of the same type and have the same key usage.");
  }
  kms.keys.PutAlias(key.region, key.account, {name, key.key_id, alias->created, kms.call.now});
  return Json::object();
}

StatusOr<Json> DeleteAlias(KmsCall& kms, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, AliasName(in));
  KEYHOLD_RETURN_IF_ERROR(AuthorizeIdentity(kms.call, "kms:DeleteAlias", ArnOf(kms, name)));
  const std::string& region = kms.call.endpoint.region;
  auto alias = kms.keys.FindAlias(region, kms.call.principal.account, name);
  if (!alias) return AliasNotFound(kms, name);
  auto key = kms.keys.Find(region, alias->key_id);
  if (key) KEYHOLD_RETURN_IF_ERROR(AuthorizeKey(kms.call, *key, "kms:DeleteAlias"));
  kms.keys.DeleteAlias(region, kms.call.principal.account, name);
  return Json::object();
}

StatusOr<Json> ListAliases(KmsCall& kms, const Json& in) {
  KEYHOLD_RETURN_IF_ERROR(AuthorizeIdentity(kms.call, "kms:ListAliases", "*"));
  KEYHOLD_ASSIGN_OR_RETURN(auto name, OptionalString(in, "KeyId", 2048));
  std::string only;
  if (name) {
    KEYHOLD_ASSIGN_OR_RETURN(KmsKey key,
                             ResolveKey(kms.call, kms.keys, *name, KeyNames::kIdsAndArns, "kms:ListAliases"));
    only = key.key_id;
  }
  PageItems items;
  for (const Alias& alias : kms.keys.ListAliases(kms.call.endpoint.region, kms.call.principal.account)) {
    if (name && alias.key_id != only) continue;
    items.emplace_back(alias.name, Json{{"AliasName", alias.name},
                                        {"AliasArn", ArnOf(kms, alias.name)},
                                        {"TargetKeyId", alias.key_id},
                                        {"CreationDate", EpochSeconds(alias.created)},
                                        {"LastUpdatedDate", EpochSeconds(alias.updated)}});
  }
  return Page(in, "Aliases", items, 50);
}

}  // namespace keyhold::localcloud::aws
