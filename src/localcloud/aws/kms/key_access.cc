#include "localcloud/aws/kms/key_access.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "localcloud/aws/access.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"

namespace keyhold::localcloud::aws {
namespace {

bool IsHex(std::string_view text) {
  for (char c : text) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// A UUID, or "mrk-" and 32 hex digits.
bool IsKeyId(std::string_view text) {
  if (text.starts_with("mrk-")) return text.size() == 36 && IsHex(text.substr(4));
  if (text.size() != 36) return false;
  std::string digits;
  for (size_t i = 0; i < text.size(); i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return false;
    if (!dash) digits.push_back(text[i]);
  }
  return IsHex(digits);
}

Status InvalidKeyId(const std::string& name) {
  return AwsError("NotFoundException", absl::StrCat("Invalid keyId '", name.substr(0, 256), "'"));
}

// `name` taken apart: whose, and "key/ID" or "alias/NAME".
StatusOr<Arn> Locate(const Call& call, const std::string& name) {
  if (!absl::StartsWith(name, "arn:")) {
    std::string resource = absl::StartsWith(name, "alias/") ? name : "key/" + name;
    return Arn{"kms", call.endpoint.region, call.principal.account, resource};
  }
  auto arn = ParseArn(name);
  if (!arn.ok() || arn->service != "kms" || !IsAccountId(arn->account)) {
    return AwsError("NotFoundException", absl::StrCat("Invalid arn ", name.substr(0, 256)));
  }
  if (arn->region != call.endpoint.region) {
    return AwsError("NotFoundException", absl::StrCat("Invalid arn ", arn->region));
  }
  return arn;
}

Status DeniedToStranger(const Call& call, const std::string& action) {
  return AwsError("AccessDeniedException",
                  absl::StrCat("User: ", call.principal.arn, " is not authorized to perform: ", action,
                               " on this resource because the resource does not exist in this Region, no "
                               "resource-based policies allow access, or a resource-based policy explicitly "
                               "denies access"));
}

ConditionContext BaseContext(const Call& call) {
  ConditionContext context;
  context["aws:principalarn"] = {call.principal.policy_arn()};
  context["aws:principalaccount"] = {call.principal.account};
  context["aws:principaltype"] = {call.principal.role_arn.empty() ? "User" : "AssumedRole"};
  context["aws:userid"] = {call.principal.user_id};
  context["aws:sourceip"] = {call.record.source};
  context["aws:securetransport"] = {"true"};
  context["aws:requestedregion"] = {call.endpoint.region};
  context["aws:currenttime"] = {absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", call.now, absl::UTCTimeZone())};
  context["aws:epochtime"] = {absl::StrCat(absl::ToUnixSeconds(call.now))};
  context["kms:calleraccount"] = {call.principal.account};
  return context;
}

ConditionContext KeyContext(const Call& call, const KmsKey& key,
                            const EncryptionContext& encryption_context) {
  ConditionContext context = BaseContext(call);
  context["kms:keyspec"] = {key.spec};
  context["kms:keyusage"] = {key.usage};
  context["kms:keyorigin"] = {"AWS_KMS"};
  context["kms:multiregion"] = {key.multi_region ? "true" : "false"};
  for (const auto& [name, value] : encryption_context) {
    context["kms:encryptioncontext:" + absl::AsciiStrToLower(name)] = {value};
    context["kms:encryptioncontextkeys"].push_back(name);
  }
  return context;
}

Status CheckOnKey(const Call& call, const KmsKey& key, const std::string& policy, const std::string& action,
                  const EncryptionContext& encryption_context) {
  PolicyRequest request{call.principal, action, key.Arn(), KeyContext(call, key, encryption_context)};
  return CheckAccess({std::move(request), key.account, policy, PolicyKind::kKey});
}

}  // namespace

StatusOr<KmsKey> ResolveKey(Call& call, KeyStore& keys, const std::string& name, KeyNames accepted,
                            const std::string& action) {
  KEYHOLD_ASSIGN_OR_RETURN(Arn arn, Locate(call, name));
  bool stranger = arn.account != call.principal.account;
  absl::string_view key_id = arn.resource;
  std::optional<Alias> alias;
  if (absl::StartsWith(arn.resource, "alias/") && accepted == KeyNames::kIdsArnsAndAliases) {
    alias = keys.FindAlias(arn.region, arn.account, arn.resource);
    if (!alias && stranger) return DeniedToStranger(call, action);
    if (!alias) {
      return AwsError(
          "NotFoundException",
          absl::StrCat("Alias ", AliasArn(arn.region, arn.account, arn.resource), " is not found."));
    }
    key_id = alias->key_id;
  } else if (!absl::ConsumePrefix(&key_id, "key/") || !IsKeyId(std::string(key_id))) {
    return InvalidKeyId(absl::StartsWith(name, "arn:") ? arn.resource : name);
  }
  std::string id(key_id);
  call.record.key = KeyArn(arn.region, arn.account, id);
  auto key = keys.Find(arn.region, id);
  if (key && key->account == arn.account) return *key;
  if (stranger) return DeniedToStranger(call, action);
  return AwsError("NotFoundException", absl::StrCat("Key '", call.record.key, "' does not exist"));
}

Status AuthorizeKey(Call& call, const KmsKey& key, const std::string& action,
                    const EncryptionContext& context) {
  call.record.key = key.Arn();
  call.record.encryption_context = context;
  return CheckOnKey(call, key, key.policy, action, context);
}

Status AuthorizeIdentity(Call& call, const std::string& action, const std::string& resource) {
  PolicyRequest request{call.principal, action, resource, BaseContext(call)};
  return CheckAccess({std::move(request), call.principal.account, "", PolicyKind::kIdentity});
}

Status CheckKeyPolicy(Call& call, const KmsKey& key, const std::string& policy, bool bypass) {
  KEYHOLD_ASSIGN_OR_RETURN(Policy parsed, Policy::Parse(policy, PolicyKind::kKey));
  for (const std::string& arn : parsed.PrincipalArns()) {
    if (!call.identities.PrincipalExists(arn)) {
      return AwsError("MalformedPolicyDocumentException",
                      "Policy contains a statement with one or more invalid principals.");
    }
  }
  if (bypass || CheckOnKey(call, key, policy, "kms:PutKeyPolicy", {}).ok()) return OkStatus();
  return AwsError("MalformedPolicyDocumentException",
                  "The new key policy will not allow you to update the key policy in the future.");
}

}  // namespace keyhold::localcloud::aws
