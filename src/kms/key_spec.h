// Key specs: which CMEK key, and as whom to use it.
//
// A key spec comes from a user and decides whom Keyhold talks to, so everything about it is checked before
// anything is sent: size, fields, characters, and the exact form of its cloud's key names. The host of a KMS
// is derived from partition and region alone, by a table; nothing in a key spec can lead elsewhere.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::kms {

// CMEKKeyType of the Cloud API. The numbers are stored in key rings: never reuse one.
enum class KeyType : uint8_t { kNullKms = 0, kAwsKms = 1, kGcpCloudKms = 2, kAzureKeyVault = 3 };

inline constexpr size_t kMaxKeySpecSize = 64 << 10;  // bytes of JSON
inline constexpr size_t kMaxUriSize = 2048;          // bytes, as AWS KMS has it for KeyId

// Values only: one that did not come from the functions below has not been checked.
struct KeySpec {
  KeyType type = KeyType::kNullKms;
  // AWS_KMS: a key ARN. GCP_CLOUD_KMS: a resource name. AZURE_KEY_VAULT: a key identifier,
  // https://VAULT.vault.azure.net/keys/NAME[/VERSION]. NULL_KMS: empty
  std::string uri;
  // An IAM role's or user's ARN; a service account; the vault's tenant. Empty: the platform's own
  std::string auth_principal;

  bool operator==(const KeySpec&) const = default;
};

// The key spec of the platform's own key, under which a store is before CMEK is enabled.
inline KeySpec NullKmsSpec() { return KeySpec{}; }

// The Cloud API's name: "AWS_KMS". Never null.
std::string_view KeyTypeName(KeyType type);

// A key spec as a user writes it: {"type","uri","auth_principal"}, the last optional. kInvalidArgument names
// what is wrong and how it should be; NULL_KMS, aliases and unknown fields are refused.
StatusOr<KeySpec> ParseKeySpec(std::string_view json_text);
StatusOr<KeySpec> KeySpecFromJson(const nlohmann::json& json);

// The same checks on the three fields.
StatusOr<KeySpec> MakeKeySpec(std::string_view type, std::string_view uri, std::string_view auth_principal);

nlohmann::json ToJson(const KeySpec& spec);

// Whether two URIs are of one key: of Azure, of any version of it.
bool IsSameKey(std::string_view uri, std::string_view other);

// The region that the key lives in ("us-east-1", "us-east1", "global"); empty where the spec does not
// tell: NULL_KMS, AZURE_KEY_VAULT.
std::string RegionOf(const KeySpec& spec);

// kKmsWrongKey unless the key is in `region`, the cluster's, or global (GCP). OK where the spec
// does not tell: Kms::Check asks the KMS itself.
Status CheckRegion(const KeySpec& spec, std::string_view region);

}  // namespace keyhold::kms
