#include "kms/key_spec.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "base/text.h"
#include "kms/aws/arn.h"
#include "kms/azure/key_uri.h"
#include "kms/gcp/names.h"
#include "kms/text.h"

namespace keyhold::kms {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kTypeNames = {"NULL_KMS", "AWS_KMS", "GCP_CLOUD_KMS",
                                                        "AZURE_KEY_VAULT"};
constexpr std::array<std::string_view, 3> kFields = {"type", "uri", "auth_principal"};
constexpr std::string_view kExample =
    R"({"type":"AWS_KMS","uri":"arn:aws:kms:REGION:ACCOUNT:key/KEY-ID","auth_principal":"arn:aws:iam::ACCOUNT:role/NAME"})";

Status Bad(std::string_view what) { return Error(Cause::kInvalidArgument, what); }

// Parses without building more than a key spec can hold: nesting and doubled fields end it.
class Parser {
 public:
  StatusOr<json> Parse(std::string_view text) {
    json parsed = json::parse(
        text.begin(), text.end(),
        [this](int depth, json::parse_event_t event, json& value) { return Visit(depth, event, value); },
        /*allow_exceptions=*/false);
    if (!problem_.ok()) return problem_;
    if (parsed.is_discarded()) return Bad(StrCat({"the key spec is not JSON; write it as ", kExample}));
    return parsed;
  }

 private:
  bool Visit(int depth, json::parse_event_t event, json& value) {
    if (!problem_.ok()) return false;
    const bool opens =
        event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth > 0) {
      problem_ = Bad("the fields of a key spec are plain strings; one of them is nested");
    }
    if (event == json::parse_event_t::key && !names_.insert(value.get<std::string>()).second) {
      problem_ = Bad(StrCat({"the key spec has the field ", Quoted(value.get<std::string>()), " twice"}));
    }
    return problem_.ok();
  }

  std::set<std::string> names_;
  Status problem_;
};

StatusOr<std::string> StringField(const json& spec, std::string_view name, bool required) {
  const auto found = spec.find(std::string(name));
  if (found == spec.end()) {
    if (!required) return std::string();
    return Bad(StrCat({"the key spec has no field \"", name, "\"; write it as ", kExample}));
  }
  if (!found->is_string()) return Bad(StrCat({"the field \"", name, "\" of the key spec must be a string"}));
  return found->get<std::string>();
}

Status CheckText(std::string_view name, std::string_view value) {
  if (value.size() > kMaxUriSize)
    return Bad(StrCat({"\"", name, "\" of the key spec is longer than 2048 bytes"}));
  if (IsVisibleAscii(value)) return OkStatus();
  return Bad(StrCat(
      {"\"", name, "\" of the key spec has characters that no key or principal has: ", Quoted(value)}));
}

Status CheckAws(const KeySpec& spec) {
  KEYHOLD_ASSIGN_OR_RETURN(const aws::KeyArn key, aws::ParseKeyArn(spec.uri));
  if (spec.auth_principal.empty()) return OkStatus();
  KEYHOLD_ASSIGN_OR_RETURN(const aws::PrincipalArn who, aws::ParsePrincipalArn(spec.auth_principal));
  if (who.partition == key.partition) return OkStatus();
  return Bad(
      StrCat({"auth_principal ", Quoted(spec.auth_principal), " is in another AWS partition than the key"}));
}

Status CheckGcp(const KeySpec& spec) {
  KEYHOLD_RETURN_IF_ERROR(gcp::ParseKeyName(spec.uri).status());
  return spec.auth_principal.empty() ? OkStatus() : gcp::CheckServiceAccount(spec.auth_principal);
}

Status CheckAzure(const KeySpec& spec) {
  KEYHOLD_RETURN_IF_ERROR(azure::ParseKeyUri(spec.uri).status());
  return spec.auth_principal.empty() ? OkStatus() : azure::CheckTenant(spec.auth_principal);
}

// A vault's name says nothing of where it is: the vault does (azure/vault.h).
bool TellsRegion(const KeySpec& spec) {
  return spec.type != KeyType::kNullKms && spec.type != KeyType::kAzureKeyVault;
}

}  // namespace

std::string_view KeyTypeName(KeyType type) { return kTypeNames[static_cast<size_t>(type)]; }

StatusOr<KeySpec> ParseKeySpec(std::string_view json_text) {
  if (json_text.size() > kMaxKeySpecSize) return Bad("the key spec is longer than 64 KiB");
  KEYHOLD_ASSIGN_OR_RETURN(const json parsed, Parser().Parse(json_text));
  return KeySpecFromJson(parsed);
}

StatusOr<KeySpec> KeySpecFromJson(const json& spec) {
  if (!spec.is_object()) return Bad(StrCat({"a key spec is a JSON object such as ", kExample}));
  // A field that is not known may be one that was meant to restrict: nothing is silently dropped.
  for (const auto& [name, value] : spec.items()) {
    if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) {
      return Bad(StrCat(
          {"the key spec has an unknown field ", Quoted(name), "; known are type, uri and auth_principal"}));
    }
  }
  KEYHOLD_ASSIGN_OR_RETURN(const std::string type, StringField(spec, "type", true));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string uri, StringField(spec, "uri", true));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string principal, StringField(spec, "auth_principal", false));
  return MakeKeySpec(type, uri, principal);
}

StatusOr<KeySpec> MakeKeySpec(std::string_view type, std::string_view uri, std::string_view auth_principal) {
  const auto* name = std::find(kTypeNames.begin(), kTypeNames.end(), type);
  if (name == kTypeNames.end()) {
    return Bad(StrCat({"the key spec's type ", Quoted(type),
                       " is unknown; it is one of AWS_KMS, GCP_CLOUD_KMS, AZURE_KEY_VAULT"}));
  }
  KEYHOLD_RETURN_IF_ERROR(CheckText("uri", uri));
  KEYHOLD_RETURN_IF_ERROR(CheckText("auth_principal", auth_principal));
  KeySpec spec{static_cast<KeyType>(name - kTypeNames.begin()), std::string(uri),
               std::string(auth_principal)};
  switch (spec.type) {
    case KeyType::kNullKms:
      return Bad(
          "NULL_KMS is the platform's own key and cannot be chosen; give a key of your own cloud's KMS");
    case KeyType::kAwsKms:
      KEYHOLD_RETURN_IF_ERROR(CheckAws(spec));
      return spec;
    case KeyType::kGcpCloudKms:
      KEYHOLD_RETURN_IF_ERROR(CheckGcp(spec));
      return spec;
    case KeyType::kAzureKeyVault:
      KEYHOLD_RETURN_IF_ERROR(CheckAzure(spec));
      return spec;
  }
  return Error(Cause::kInternal, "a key spec of no type");
}

json ToJson(const KeySpec& spec) {
  json out = {{"type", std::string(KeyTypeName(spec.type))}, {"uri", spec.uri}};
  if (!spec.auth_principal.empty()) out["auth_principal"] = spec.auth_principal;
  return out;
}

bool IsSameKey(std::string_view uri, std::string_view other) {
  if (uri == other) return true;
  const auto one = azure::ParseKeyUri(uri), two = azure::ParseKeyUri(other);
  return one.ok() && two.ok() && one->host == two->host && absl::EqualsIgnoreCase(one->name, two->name);
}

std::string RegionOf(const KeySpec& spec) {
  if (spec.type == KeyType::kAwsKms) {
    const auto key = aws::ParseKeyArn(spec.uri);
    return key.ok() ? key->region : std::string();
  }
  if (spec.type == KeyType::kGcpCloudKms) {
    const auto key = gcp::ParseKeyName(spec.uri);
    return key.ok() ? key->location : std::string();
  }
  return "";
}

Status CheckRegion(const KeySpec& spec, std::string_view region) {
  if (!TellsRegion(spec) || RegionOf(spec) == region) return OkStatus();
  if (spec.type == KeyType::kGcpCloudKms && gcp::Serves(RegionOf(spec), region)) return OkStatus();
  return Error(Cause::kKmsWrongKey,
               StrCat({"the key ", spec.uri, " is in region ", RegionOf(spec), ", the cluster is in ", region,
                       "; give a key of region ", region}));
}

}  // namespace keyhold::kms
