#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "crypto/hash.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/kms/input.h"
#include "localcloud/aws/kms/operations.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

// Which usages a key spec allows, and with which algorithms: the CreateKey page of the API reference.
struct KeySpec {
  absl::string_view name;
  absl::string_view usage;
  absl::string_view algorithms;  // comma separated
};
constexpr absl::string_view kRsaSign =
    "RSASSA_PKCS1_V1_5_SHA_256,RSASSA_PKCS1_V1_5_SHA_384,RSASSA_PKCS1_V1_5_SHA_512,RSASSA_PSS_SHA_256,"
    "RSASSA_PSS_SHA_384,RSASSA_PSS_SHA_512";
constexpr absl::string_view kRsaEncrypt = "RSAES_OAEP_SHA_1,RSAES_OAEP_SHA_256";
constexpr KeySpec kSpecs[] = {
    {"SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"},
    {"RSA_2048", "ENCRYPT_DECRYPT", kRsaEncrypt},
    {"RSA_2048", "SIGN_VERIFY", kRsaSign},
    {"RSA_3072", "ENCRYPT_DECRYPT", kRsaEncrypt},
    {"RSA_3072", "SIGN_VERIFY", kRsaSign},
    {"RSA_4096", "ENCRYPT_DECRYPT", kRsaEncrypt},
    {"RSA_4096", "SIGN_VERIFY", kRsaSign},
    {"ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"},
    {"ECC_NIST_P256", "KEY_AGREEMENT", "ECDH"},
    {"ECC_NIST_P384", "SIGN_VERIFY", "ECDSA_SHA_384"},
    {"ECC_NIST_P384", "KEY_AGREEMENT", "ECDH"},
    {"ECC_NIST_P521", "SIGN_VERIFY", "ECDSA_SHA_512"},
    {"ECC_NIST_P521", "KEY_AGREEMENT", "ECDH"},
    {"ECC_SECG_P256K1", "SIGN_VERIFY", "ECDSA_SHA_256"},
    {"HMAC_224", "GENERATE_VERIFY_MAC", "HMAC_SHA_224"},
    {"HMAC_256", "GENERATE_VERIFY_MAC", "HMAC_SHA_256"},
    {"HMAC_384", "GENERATE_VERIFY_MAC", "HMAC_SHA_384"},
    {"HMAC_512", "GENERATE_VERIFY_MAC", "HMAC_SHA_512"},
};

const char* AlgorithmsMember(const std::string& usage) {
  if (usage == "SIGN_VERIFY") return "SigningAlgorithms";
  if (usage == "GENERATE_VERIFY_MAC") return "MacAlgorithms";
  return usage == "KEY_AGREEMENT" ? "KeyAgreementAlgorithms" : "EncryptionAlgorithms";
}

const KeySpec* FindSpec(const KmsKey& key) {
  for (const KeySpec& spec : kSpecs) {
    if (spec.name == key.spec && spec.usage == key.usage) return &spec;
  }
  return nullptr;
}

Status CheckSpec(const KmsKey& key) {
  if (FindSpec(key) != nullptr) return OkStatus();
  auto named = [&](const KeySpec& spec) { return spec.name == key.spec; };
  auto used = [&](const KeySpec& spec) { return spec.usage == key.usage; };
  if (absl::c_none_of(kSpecs, named)) {
    std::vector<absl::string_view> names;
    for (const KeySpec& spec : kSpecs) {
      if (names.empty() || names.back() != spec.name) names.push_back(spec.name);
    }
    return AwsError(
        "ValidationException",
        absl::StrCat("1 validation error detected: Value '", key.spec.substr(0, 64),
                     "' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value "
                     "set: [",
                     absl::StrJoin(names, ", "), "]"));
  }
  if (absl::c_none_of(kSpecs, used)) {
    return AwsError(
        "ValidationException",
        absl::StrCat("1 validation error detected: Value '", key.usage.substr(0, 64),
                     "' at 'keyUsage' failed to satisfy constraint: Member must satisfy enum value "
                     "set: [ENCRYPT_DECRYPT, SIGN_VERIFY, GENERATE_VERIFY_MAC, KEY_AGREEMENT]"));
  }
  return AwsError("ValidationException",
                  absl::StrCat("KeyUsage ", key.usage, " is not compatible with KeySpec ", key.spec, "."));
}

Status ReadSpec(const Json& in, KmsKey& key) {
  KEYHOLD_ASSIGN_OR_RETURN(auto spec, OptionalString(in, "KeySpec", 64));
  KEYHOLD_ASSIGN_OR_RETURN(auto old_spec, OptionalString(in, "CustomerMasterKeySpec", 64));
  KEYHOLD_ASSIGN_OR_RETURN(auto usage, OptionalString(in, "KeyUsage", 64));
  if (spec && old_spec) {
    return AwsError("ValidationException",
                    "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
                    "CustomerMasterKeySpec is deprecated.");
  }
  key.spec = spec.value_or(old_spec.value_or("SYMMETRIC_DEFAULT"));
  if (!usage && key.spec != "SYMMETRIC_DEFAULT") {
    return AwsError(
        "ValidationException",
        "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
  }
  key.usage = usage.value_or("ENCRYPT_DECRYPT");
  return CheckSpec(key);
}

Status CheckOrigin(const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(auto origin, OptionalString(in, "Origin", 64));
  if (!origin || *origin == "AWS_KMS") return OkStatus();
  if (*origin == "EXTERNAL" || *origin == "AWS_CLOUDHSM" || *origin == "EXTERNAL_KEY_STORE") {
    return AwsError("UnsupportedOperationException",
                    "The local cloud makes keys of origin AWS_KMS only, not " + *origin + ".");
  }
  return AwsError(
      "ValidationException",
      absl::StrCat("1 validation error detected: Value '", *origin,
                   "' at 'origin' failed to satisfy constraint: Member must satisfy enum value set: "
                   "[EXTERNAL, AWS_CLOUDHSM, AWS_KMS, EXTERNAL_KEY_STORE]"));
}

std::string DefaultPolicy(const std::string& account) {
  nlohmann::ordered_json statement = {{"Sid", "Enable IAM User Permissions"},
                                      {"Effect", "Allow"},
                                      {"Principal", {{"AWS", RootArn(account)}}},
                                      {"Action", "kms:*"},
                                      {"Resource", "*"}};
  nlohmann::ordered_json policy = {{"Version", "2012-10-17"},
                                   {"Id", "key-default-1"},
                                   {"Statement", nlohmann::ordered_json::array({statement})}};
  return policy.dump(2);
}

std::string NewKeyId(bool multi_region, crypto::Random& random) {
  if (!multi_region) return crypto::NewUuid(random);
  uint8_t bytes[16];
  random.Fill(bytes);
  return "mrk-" + crypto::Hex(bytes);
}

StatusOr<KmsKey> KeyFromRequest(KmsCall& kms, const Json& in) {
  KmsKey key;
  KEYHOLD_RETURN_IF_ERROR(ReadSpec(in, key));
  KEYHOLD_RETURN_IF_ERROR(CheckOrigin(in));
  KEYHOLD_ASSIGN_OR_RETURN(key.multi_region, OptionalBool(in, "MultiRegion"));
  KEYHOLD_ASSIGN_OR_RETURN(auto description, OptionalString(in, "Description", 8192));
  KEYHOLD_ASSIGN_OR_RETURN(auto policy, OptionalString(in, "Policy", 131072));
  key.region = kms.call.endpoint.region;
  key.account = kms.call.principal.account;
  key.key_id = NewKeyId(key.multi_region, kms.call.vault.random());
  key.description = description.value_or("");
  key.policy = policy.value_or(DefaultPolicy(key.account));
  key.state = "Enabled";
  key.created = kms.call.now;
  return key;
}

}  // namespace

double EpochSeconds(absl::Time time) { return static_cast<double>(absl::ToUnixMillis(time)) / 1000.0; }

Status CheckSymmetric(const KmsKey& key, const std::string& operation) {
  if (key.usage != "ENCRYPT_DECRYPT") {
    return AwsError("InvalidKeyUsageException", absl::StrCat(key.Arn(), " key usage is ", key.usage,
                                                             " which is not valid for ", operation, "."));
  }
  if (key.spec == "SYMMETRIC_DEFAULT") return OkStatus();
  return AwsError("InvalidKeyUsageException",
                  absl::StrCat("Algorithm SYMMETRIC_DEFAULT is incompatible with key spec ", key.spec, "."));
}

Json KeyMetadata(KmsCall& kms, const KmsKey& key) {
  Json out = {{"AWSAccountId", key.account},
              {"KeyId", key.key_id},
              {"Arn", key.Arn()},
              {"CreationDate", EpochSeconds(key.created)},
              {"Enabled", key.state == "Enabled"},
              {"Description", key.description},
              {"KeyUsage", key.usage},
              {"KeyState", key.state},
              {"Origin", "AWS_KMS"},
              {"KeyManager", "CUSTOMER"},
              {"CustomerMasterKeySpec", key.spec},
              {"KeySpec", key.spec},
              {"MultiRegion", key.multi_region}};
  if (const KeySpec* spec = FindSpec(key)) {
    std::vector<std::string> algorithms = absl::StrSplit(spec->algorithms, ',');
    out[AlgorithmsMember(key.usage)] = algorithms;
  }
  if (key.deletion) out["DeletionDate"] = EpochSeconds(*key.deletion);
  if (key.multi_region) {
    out["MultiRegionConfiguration"] = {{"MultiRegionKeyType", "PRIMARY"},
                                       {"PrimaryKey", {{"Arn", key.Arn()}, {"Region", key.region}}},
                                       {"ReplicaKeys", Json::array()}};
  }
  auto materials = kms.keys.Materials(key);
  if (materials.ok() && !materials->empty()) out["CurrentKeyMaterialId"] = materials->back().material_id;
  return out;
}

StatusOr<Json> Page(const Json& in, const char* member, const PageItems& items, int64_t default_limit) {
  KEYHOLD_ASSIGN_OR_RETURN(auto limit, OptionalInt(in, "Limit", 1, 1000));
  KEYHOLD_ASSIGN_OR_RETURN(auto marker, OptionalString(in, "Marker", 1024));
  std::string after;
  if (marker && !absl::WebSafeBase64Unescape(*marker, &after)) {
    return AwsError("InvalidMarkerException",
                    "The marker that specifies where pagination should next begin is "
                    "not valid.");
  }
  Json page = Json::array();
  bool truncated = false;
  std::string last;
  for (const auto& [text, item] : items) {
    if (marker && text <= after) continue;
    truncated = page.size() == static_cast<size_t>(limit.value_or(default_limit));
    if (truncated) break;
    page.push_back(item);
    last = text;
  }
  Json out = {{member, std::move(page)}, {"Truncated", truncated}};
  if (truncated) out["NextMarker"] = absl::WebSafeBase64Escape(last);
  return out;
}

StatusOr<Json> CreateKey(KmsCall& kms, const Json& in) {
  KEYHOLD_RETURN_IF_ERROR(AuthorizeIdentity(kms.call, "kms:CreateKey", "*"));
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key, KeyFromRequest(kms, in));
  KEYHOLD_ASSIGN_OR_RETURN(bool bypass, OptionalBool(in, "BypassPolicyLockoutSafetyCheck"));
  KEYHOLD_ASSIGN_OR_RETURN(auto tags, TagsOf(in));
  KEYHOLD_RETURN_IF_ERROR(CheckKeyPolicy(kms.call, key, key.policy, bypass));
  kms.keys.Put(key);
  for (const auto& [name, value] : tags) kms.keys.PutTag(key, name, value);
  // Asymmetric and HMAC keys can be made and described; nothing here uses them, so they have no material.
  if (key.spec == "SYMMETRIC_DEFAULT") {
    KEYHOLD_RETURN_IF_ERROR(kms.keys.AddMaterial(key, "", kms.call.now).status());
  }
  kms.call.record.key = key.Arn();
  return Json{{"KeyMetadata", KeyMetadata(kms, key)}};
}

StatusOr<Json> ListKeys(KmsCall& kms, const Json& in) {
  KEYHOLD_RETURN_IF_ERROR(AuthorizeIdentity(kms.call, "kms:ListKeys", "*"));
  PageItems items;
  for (const KmsKey& key : kms.keys.List(kms.call.endpoint.region, kms.call.principal.account)) {
    items.emplace_back(key.key_id, Json{{"KeyId", key.key_id}, {"KeyArn", key.Arn()}});
  }
  return Page(in, "Keys", items, 100);
}

StatusOr<Json> DescribeKey(KmsCall& kms, KmsKey& key, const Json&) {
  return Json{{"KeyMetadata", KeyMetadata(kms, key)}};
}

StatusOr<Json> UpdateKeyDescription(KmsCall& kms, KmsKey& key, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(auto description, OptionalString(in, "Description", 8192));
  if (!description) return ValidationError("description", "Member must not be null");
  key.description = *description;
  kms.keys.Put(key);
  return Json::object();
}

StatusOr<Json> DisableKey(KmsCall& kms, KmsKey& key, const Json&) {
  key.state = "Disabled";
  kms.keys.Put(key);
  return Json::object();
}

StatusOr<Json> EnableKey(KmsCall& kms, KmsKey& key, const Json&) {
  key.state = "Enabled";
  kms.keys.Put(key);
  return Json::object();
}

StatusOr<Json> ScheduleKeyDeletion(KmsCall& kms, KmsKey& key, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(auto days, OptionalInt(in, "PendingWindowInDays", 7, 30));
  int64_t window = days.value_or(30);
  key.state = "PendingDeletion";
  key.deletion = kms.call.now + window * kDay;
  kms.keys.Put(key);
  return Json{{"KeyId", key.Arn()},
              {"DeletionDate", EpochSeconds(*key.deletion)},
              {"KeyState", key.state},
              {"PendingWindowInDays", window}};
}

StatusOr<Json> CancelKeyDeletion(KmsCall& kms, KmsKey& key, const Json&) {
  key.state = "Disabled";
  key.deletion.reset();
  kms.keys.Put(key);
  return Json{{"KeyId", key.Arn()}};
}

StatusOr<Json> ListGrants(KmsCall&, KmsKey&, const Json& in) { return Page(in, "Grants", {}, 50); }

}  // namespace keyhold::localcloud::aws
