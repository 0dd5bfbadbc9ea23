#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "localcloud/gcp/error.h"
#include "localcloud/gcp/kms/operations.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kDestroyScheduled = absl::Hours(30 * 24);  // Google's default
constexpr absl::Duration kMaxDestroyScheduled = absl::Hours(120 * 24);
constexpr absl::Duration kMaxRotationPeriod = absl::Hours(876000);
constexpr size_t kMaxLabels = 64;

// google/cloud/kms/v1/resources.proto.
constexpr EnumName kPurposes[] = {{1, "ENCRYPT_DECRYPT"},
                                  {5, "ASYMMETRIC_SIGN"},
                                  {6, "ASYMMETRIC_DECRYPT"},
                                  {7, "RAW_ENCRYPT_DECRYPT"},
                                  {9, "MAC"}};
constexpr EnumName kProtections[] = {
    {0, "PROTECTION_LEVEL_UNSPECIFIED"}, {1, "SOFTWARE"}, {2, "HSM"}, {3, "EXTERNAL"}, {4, "EXTERNAL_VPC"}};
// One or a few of each purpose: the others differ in what they are used for, and keys of other purposes
// than ENCRYPT_DECRYPT are not used here.
constexpr EnumName kAlgorithms[] = {
    {1, "GOOGLE_SYMMETRIC_ENCRYPTION"},  {12, "EC_SIGN_P256_SHA256"}, {2, "RSA_SIGN_PSS_2048_SHA256"},
    {8, "RSA_DECRYPT_OAEP_2048_SHA256"}, {19, "AES_256_GCM"},         {32, "HMAC_SHA256"}};

std::string DurationText(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Seconds(duration), "s");
}

// proto3's JSON form: "7776000s".
StatusOr<std::optional<absl::Duration>> DurationIn(const Json& object, const char* field) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string text, StringIn(object, field));
  if (text.empty()) return std::optional<absl::Duration>();
  int64_t seconds = 0;
  if (text.back() != 's' || !absl::SimpleAtoi(text.substr(0, text.size() - 1), &seconds) || seconds < 0) {
    return Invalid(
        absl::StrCat("Invalid value at '", field, "': a duration such as \"86400s\" was expected."));
  }
  return std::optional(absl::Seconds(seconds));
}

StatusOr<std::optional<absl::Time>> TimeIn(const Json& object, const char* field) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string text, StringIn(object, field));
  if (text.empty()) return std::optional<absl::Time>();
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) {
    return Invalid(absl::StrCat("Invalid value at '", field, "': an RFC 3339 time was expected."));
  }
  return std::optional(time);
}

Status ReadTemplate(const Json& body, CryptoKey& key) {
  const Json given = body.value("versionTemplate", Json::object());
  if (!given.is_object()) return Invalid("Invalid value at 'version_template'.");
  KEYHOLD_ASSIGN_OR_RETURN(key.algorithm, EnumIn(given, "algorithm", kAlgorithms));
  KEYHOLD_ASSIGN_OR_RETURN(key.protection, EnumIn(given, "protectionLevel", kProtections));
  const bool symmetric = key.purpose == "ENCRYPT_DECRYPT";
  if (key.protection.empty() || key.protection == kProtections[0].name) key.protection = "SOFTWARE";
  if (key.algorithm.empty() && symmetric) key.algorithm = "GOOGLE_SYMMETRIC_ENCRYPTION";
  if (symmetric != (key.algorithm == "GOOGLE_SYMMETRIC_ENCRYPTION") || key.algorithm.empty()) {
    return Invalid(
        absl::StrCat("Algorithm ", key.algorithm, " cannot be used with the purpose ", key.purpose, "."));
  }
  if (absl::StartsWith(key.protection, "EXTERNAL")) {
    return GcpError("UNIMPLEMENTED", "The local cloud has no external key managers; use SOFTWARE or HSM.");
  }
  return OkStatus();
}

Status ReadRotation(const Json& body, absl::Time now, CryptoKey& key) {
  if (body.contains("rotationPeriod")) {
    KEYHOLD_ASSIGN_OR_RETURN(key.rotation_period, DurationIn(body, "rotationPeriod"));
  }
  if (body.contains("nextRotationTime")) {
    KEYHOLD_ASSIGN_OR_RETURN(key.next_rotation, TimeIn(body, "nextRotationTime"));
  }
  if ((key.rotation_period || key.next_rotation) && key.purpose != "ENCRYPT_DECRYPT") {
    return Invalid(absl::StrCat("Keys with the purpose ", key.purpose, " cannot be rotated automatically."));
  }
  if (key.rotation_period && (*key.rotation_period < kDay || *key.rotation_period > kMaxRotationPeriod)) {
    return Invalid("The rotation_period must be at least 24 hours and at most 876,000 hours.");
  }
  if (key.rotation_period && !key.next_rotation) {
    return Invalid("If rotation_period is set, next_rotation_time must also be set.");
  }
  if (key.next_rotation && *key.next_rotation <= now)
    return Invalid("The next_rotation_time must be in the future.");
  return OkStatus();
}

Status ReadLabels(const Json& body, CryptoKey& key) {
  const Json labels = body.value("labels", Json::object());
  if (!labels.is_object() || labels.size() > kMaxLabels) return Invalid("Invalid value at 'labels'.");
  for (const auto& [name, value] : labels.items()) {
    if (!value.is_string() || name.empty() || name.size() > 63 || value.get<std::string>().size() > 63) {
      return Invalid("Labels have names and values of at most 63 characters.");
    }
  }
  key.labels = labels.dump();
  return OkStatus();
}

StatusOr<CryptoKey> ReadKey(const Call& call, const Resource& made) {
  CryptoKey key;
  key.name = made.KeyName();
  key.ring = made.RingName();
  key.created = call.now;
  key.policy = EmptyPolicy().dump();
  KEYHOLD_ASSIGN_OR_RETURN(key.purpose, EnumIn(call.body, "purpose", kPurposes));
  if (key.purpose.empty()) return Invalid("The purpose of a CryptoKey must be given.");
  KEYHOLD_RETURN_IF_ERROR(ReadTemplate(call.body, key));
  KEYHOLD_RETURN_IF_ERROR(ReadRotation(call.body, call.now, key));
  KEYHOLD_RETURN_IF_ERROR(ReadLabels(call.body, key));
  KEYHOLD_ASSIGN_OR_RETURN(const auto destroy, DurationIn(call.body, "destroyScheduledDuration"));
  key.destroy_scheduled = destroy.value_or(kDestroyScheduled);
  if (key.destroy_scheduled < kDay || key.destroy_scheduled > kMaxDestroyScheduled) {
    return Invalid("The destroy_scheduled_duration must be between 24 hours and 120 days.");
  }
  return key;
}

}  // namespace

StatusOr<Json> CreateCryptoKey(Call& call, const Resource& resource) {
  KEYHOLD_RETURN_IF_ERROR(RingOf(call.store, resource).status());
  Resource made = resource;
  made.level = Level::kKey;
  made.key = call.Query("cryptoKeyId");
  if (!IsResourceId(made.key)) return Invalid("The crypto_key_id must match [a-zA-Z0-9_-]{1,63}.");
  call.record.key = made.KeyName();
  if (call.store.FindKey(made.KeyName())) {
    return GcpError("ALREADY_EXISTS", absl::StrCat("CryptoKey ", made.KeyName(), " already exists."));
  }
  KEYHOLD_ASSIGN_OR_RETURN(CryptoKey key, ReadKey(call, made));
  if (call.Query("skipInitialVersionCreation") != "true") {
    KEYHOLD_ASSIGN_OR_RETURN(const CryptoKeyVersion first, AddVersion(call.store, call.vault, key, call.now));
    if (key.purpose == "ENCRYPT_DECRYPT") key.primary = first.number;
  }
  call.store.PutKey(key);
  return KeyJson(call.store, key);
}

StatusOr<Json> ListCryptoKeys(Call& call, const Resource& resource) {
  KEYHOLD_RETURN_IF_ERROR(RingOf(call.store, resource).status());
  std::vector<std::string> names;
  Json items = Json::array();
  for (const CryptoKey& key : call.store.Keys(resource.RingName())) {
    KEYHOLD_ASSIGN_OR_RETURN(Json item, KeyJson(call.store, key));
    names.push_back(key.name);
    items.push_back(std::move(item));
  }
  return Page(call, "cryptoKeys", names, std::move(items));
}

StatusOr<Json> GetCryptoKey(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKey key, KeyOf(call.store, resource));
  return KeyJson(call.store, key);
}

StatusOr<Json> UpdateCryptoKey(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(CryptoKey key, KeyOf(call.store, resource));
  Json changes = Json::object();
  const std::string mask = call.Query("updateMask");
  for (const std::string& field : std::vector<std::string>(absl::StrSplit(mask, ',', absl::SkipEmpty()))) {
    const bool rotation = field == "rotationPeriod" || field == "rotation_period" ||
                          field == "nextRotationTime" || field == "next_rotation_time";
    if (!rotation && field != "labels") {
      return Invalid(absl::StrCat("The field ", field, " cannot be updated here."));
    }
    const std::string name = field == "rotation_period"      ? "rotationPeriod"
                             : field == "next_rotation_time" ? "nextRotationTime"
                                                             : field;
    changes[name] = call.body.value(name, Json());
  }
  if (changes.empty()) return Invalid("The update_mask must name at least one field.");
  KEYHOLD_RETURN_IF_ERROR(ReadRotation(changes, call.now, key));
  if (changes.contains("labels")) {
    if (changes["labels"].is_null()) changes["labels"] = Json::object();
    KEYHOLD_RETURN_IF_ERROR(ReadLabels(changes, key));
  }
  call.store.PutKey(key);
  return KeyJson(call.store, key);
}

StatusOr<Json> UpdatePrimaryVersion(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(CryptoKey key, KeyOf(call.store, resource));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string id, StringIn(call.body, "cryptoKeyVersionId"));
  int number = 0;
  if (key.purpose != "ENCRYPT_DECRYPT")
    return Invalid("Only keys with the purpose ENCRYPT_DECRYPT have a primary.");
  if (!absl::SimpleAtoi(id, &number)) return Invalid("The crypto_key_version_id is not valid.");
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKeyVersion version, VersionOf(call.store, key, number));
  if (version.state != "ENABLED" && version.state != "DISABLED") {
    return GcpError("FAILED_PRECONDITION",
                    absl::StrCat(version.Name(), " is not enabled, current state is: ", version.state, "."));
  }
  key.primary = number;
  call.store.PutKey(key);
  return KeyJson(call.store, key);
}

StatusOr<CryptoKey> KeyOf(Store& store, const Resource& resource) {
  auto key = store.FindKey(resource.KeyName());
  if (key) return *std::move(key);
  return GcpError("NOT_FOUND", absl::StrCat("CryptoKey ", resource.KeyName(), " not found."));
}

StatusOr<Json> KeyJson(Store& store, const CryptoKey& key) {
  Json out = {{"name", key.name},
              {"purpose", key.purpose},
              {"createTime", TimeText(key.created)},
              {"versionTemplate", {{"protectionLevel", key.protection}, {"algorithm", key.algorithm}}},
              {"destroyScheduledDuration", DurationText(key.destroy_scheduled)}};
  if (key.labels != "{}") out["labels"] = Json::parse(key.labels);
  if (key.rotation_period) out["rotationPeriod"] = DurationText(*key.rotation_period);
  if (key.next_rotation) out["nextRotationTime"] = TimeText(*key.next_rotation);
  if (key.primary != 0) {
    KEYHOLD_ASSIGN_OR_RETURN(const CryptoKeyVersion primary, VersionOf(store, key, key.primary));
    out["primary"] = VersionJson(primary);
  }
  return out;
}

}  // namespace keyhold::localcloud::gcp
