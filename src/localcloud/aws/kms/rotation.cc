#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/strings/str_format.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/kms/input.h"
#include "localcloud/aws/kms/operations.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr int kDefaultPeriodDays = 365;
// docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html: on-demand rotations of one key.
constexpr int kMaxOnDemandRotations = 25;

Status CheckRotatable(const KmsKey& key) {
  if (key.spec == "SYMMETRIC_DEFAULT") return OkStatus();
  return AwsError("UnsupportedOperationException",
                  key.Arn() + " is not a symmetric encryption key: its material cannot be rotated.");
}

}  // namespace

StatusOr<Json> EnableKeyRotation(KmsCall& kms, KmsKey& key, const Json& in) {
  KEYHOLD_RETURN_IF_ERROR(CheckRotatable(key));
  KEYHOLD_ASSIGN_OR_RETURN(auto days, OptionalInt(in, "RotationPeriodInDays", 90, 2560));
  key.rotation_period = static_cast<int>(days.value_or(kDefaultPeriodDays));
  key.next_rotation = kms.call.now + absl::Hours(24 * key.rotation_period);
  kms.keys.Put(key);
  return Json::object();
}

StatusOr<Json> DisableKeyRotation(KmsCall& kms, KmsKey& key, const Json&) {
  KEYHOLD_RETURN_IF_ERROR(CheckRotatable(key));
  key.rotation_period = 0;
  key.next_rotation.reset();
  kms.keys.Put(key);
  return Json::object();
}

StatusOr<Json> GetKeyRotationStatus(KmsCall&, KmsKey& key, const Json&) {
  KEYHOLD_RETURN_IF_ERROR(CheckRotatable(key));
  // While a key is pending deletion its status is false, and true again when that is cancelled.
  bool enabled = key.rotation_period > 0 && key.state != "PendingDeletion";
  Json out = {{"KeyId", key.key_id}, {"KeyRotationEnabled", enabled}};
  if (enabled) {
    out["RotationPeriodInDays"] = key.rotation_period;
    out["NextRotationDate"] = EpochSeconds(*key.next_rotation);
  }
  return out;
}

StatusOr<Json> RotateKeyOnDemand(KmsCall& kms, KmsKey& key, const Json&) {
  KEYHOLD_RETURN_IF_ERROR(CheckRotatable(key));
  KEYHOLD_ASSIGN_OR_RETURN(std::vector<KeyMaterial> materials, kms.keys.Materials(key));
  auto made =
      absl::c_count_if(materials, [](const KeyMaterial& m) { return m.rotation_type == "ON_DEMAND"; });
  if (made >= kMaxOnDemandRotations) {
    return AwsError("LimitExceededException", "The on-demand rotations limit for this key has been reached.");
  }
  KEYHOLD_RETURN_IF_ERROR(kms.keys.AddMaterial(key, "ON_DEMAND", kms.call.now).status());
  return Json{{"KeyId", key.key_id}};
}

StatusOr<Json> ListKeyRotations(KmsCall& kms, KmsKey& key, const Json& in) {
  KEYHOLD_RETURN_IF_ERROR(CheckRotatable(key));
  KEYHOLD_ASSIGN_OR_RETURN(auto include, OptionalString(in, "IncludeKeyMaterial", 64));
  bool all = include && *include == "ALL_KEY_MATERIAL";
  KEYHOLD_ASSIGN_OR_RETURN(std::vector<KeyMaterial> materials, kms.keys.Materials(key));
  PageItems items;
  for (const KeyMaterial& material : materials) {
    if (material.rotation_type.empty() && !all) continue;
    bool current = material.version == materials.back().version;
    Json item = {{"KeyId", key.key_id},
                 {"KeyMaterialId", material.material_id},
                 {"KeyMaterialState", current ? "CURRENT" : "NON_CURRENT"}};
    if (!material.rotation_type.empty()) {
      item["RotationType"] = material.rotation_type;
      item["RotationDate"] = EpochSeconds(material.created);
    }
    items.emplace_back(absl::StrFormat("%010d", material.version), std::move(item));
  }
  return Page(in, "Rotations", items, 100);
}

}  // namespace keyhold::localcloud::aws
