#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "crypto/hash.h"
#include "localcloud/azure/key_service.h"
#include "localcloud/azure/rsa.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr const char* kOperations[] = {"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"};
constexpr int kBits[] = {2048, 3072, 4096};
constexpr absl::Duration kDay = absl::Hours(24);

std::string KeyId(const KeyVault& vault, const KeyVersion& version, bool with_version) {
  return absl::StrCat("https://", vault.name, ".vault.azure.net/keys/", version.name, with_version ? "/" : "",
                      with_version ? version.version : "");
}

// What recoveryLevel says of a vault: with purge protection nobody can shorten the retention.
std::string RecoveryLevel(const KeyVault& vault) {
  const std::string kind = vault.retention_days == 90 ? "Recoverable" : "CustomizedRecoverable";
  return vault.purge_protection ? kind : kind + "+Purgeable";
}

Json Attributes(const KeyVault& vault, const KeyVersion& version) {
  Json attributes = {{"enabled", version.enabled},
                     {"created", absl::ToUnixSeconds(version.created)},
                     {"updated", absl::ToUnixSeconds(version.updated)},
                     {"recoveryLevel", RecoveryLevel(vault)},
                     {"recoverableDays", vault.retention_days},
                     {"exportable", false}};
  if (version.not_before) attributes["nbf"] = absl::ToUnixSeconds(*version.not_before);
  if (version.expires) attributes["exp"] = absl::ToUnixSeconds(*version.expires);
  return attributes;
}

void AddTags(const KeyVersion& version, Json& object) {
  Json tags = Json::parse(version.tags);
  if (!tags.empty()) object["tags"] = std::move(tags);
}

StatusOr<std::optional<absl::Time>> TimeIn(const Json& attributes, const char* name,
                                           std::optional<absl::Time> absent) {
  if (!attributes.contains(name)) return absent;
  KEYHOLD_ASSIGN_OR_RETURN(const int64_t seconds, IntIn(attributes, name, 0));
  if (seconds <= 0) return std::optional<absl::Time>();
  return std::optional(absl::FromUnixSeconds(seconds));
}

// attributes, key_ops and tags of a request over those of `version`.
Status ReadSettings(const Json& body, KeyVersion& version) {
  const Json attributes = body.value("attributes", Json(nullptr));
  if (attributes.is_object()) {
    KEYHOLD_ASSIGN_OR_RETURN(version.enabled, BoolIn(attributes, "enabled", version.enabled));
    KEYHOLD_ASSIGN_OR_RETURN(version.not_before, TimeIn(attributes, "nbf", version.not_before));
    KEYHOLD_ASSIGN_OR_RETURN(version.expires, TimeIn(attributes, "exp", version.expires));
  }
  if (const Json operations = body.value("key_ops", Json(nullptr));
      operations.is_array() && !operations.empty()) {
    for (const Json& operation : operations) {
      const bool known =
          operation.is_string() && std::find(std::begin(kOperations), std::end(kOperations),
                                             operation.get<std::string>()) != std::end(kOperations);
      if (!known) return BadParameter("Property 'key_ops' has invalid value");
    }
    version.operations = operations.dump();
  }
  const Json tags = body.value("tags", Json(nullptr));
  if (tags.is_null()) return OkStatus();
  if (!tags.is_object() ||
      !std::all_of(tags.begin(), tags.end(), [](const Json& t) { return t.is_string(); })) {
    return BadParameter("Property 'tags' has invalid value");
  }
  version.tags = tags.dump();
  return OkStatus();
}

StatusOr<KeyVersion> ReadNewKey(const KeyCall& key) {
  KeyVersion version;
  version.vault = key.vault.name;
  version.name = key.name;
  KEYHOLD_ASSIGN_OR_RETURN(version.kty, StringIn(key.call.body, "kty"));
  if (version.kty.empty()) return BadParameter("Property 'kty' is required.");
  if (version.kty == "EC" || version.kty == "EC-HSM" || version.kty == "oct" || version.kty == "oct-HSM") {
    return NotBuilt(absl::StrCat("keys of type ", version.kty));
  }
  if (version.kty != "RSA" && version.kty != "RSA-HSM")
    return BadParameter("Property 'kty' has invalid value");
  KEYHOLD_ASSIGN_OR_RETURN(const int64_t bits, IntIn(key.call.body, "key_size", 2048));
  if (std::find(std::begin(kBits), std::end(kBits), bits) == std::end(kBits)) {
    return BadParameter("Property 'key_size' has invalid value; it is 2048, 3072 or 4096.");
  }
  version.bits = static_cast<int>(bits);
  version.operations = Json(kOperations).dump();
  KEYHOLD_RETURN_IF_ERROR(ReadSettings(key.call.body, version));
  return version;
}

// An ISO 8601 duration of years, months (of 30 days) and days: "P90D", "P1Y".
std::optional<absl::Duration> Period(const std::string& text) {
  if (text.size() < 3 || text[0] != 'P') return std::nullopt;
  absl::Duration total = absl::ZeroDuration();
  size_t at = 1;
  while (at < text.size()) {
    const size_t unit = text.find_first_not_of("0123456789", at);
    int count = 0;
    if (unit == std::string::npos || !absl::SimpleAtoi(text.substr(at, unit - at), &count))
      return std::nullopt;
    const int days = text[unit] == 'Y' ? 365 : text[unit] == 'M' ? 30 : text[unit] == 'D' ? 1 : 0;
    if (days == 0) return std::nullopt;
    total += int64_t{count} * days * kDay;
    at = unit + 1;
  }
  return total;
}

Json PolicyAnswer(const KeyCall& key, const VaultKey& found) {
  if (found.rotation_policy.empty()) {
    const Json notify = {{"trigger", {{"timeBeforeExpiry", "P30D"}}}, {"action", {{"type", "Notify"}}}};
    return {{"id", absl::StrCat("https://", key.call.http.host, "/keys/", found.name, "/rotationpolicy")},
            {"lifetimeActions", {notify}},
            {"attributes", Json::object()}};
  }
  return Json::parse(found.rotation_policy);
}

// Every action has a trigger with one period; every period parses.
Status CheckPolicy(const Json& body) {
  const Json attributes = body.value("attributes", Json::object());
  const Json actions = body.value("lifetimeActions", Json::array());
  if (!attributes.is_object() || !actions.is_array())
    return BadParameter("The key rotation policy is invalid.");
  KEYHOLD_ASSIGN_OR_RETURN(const std::string expiry, StringIn(attributes, "expiryTime"));
  if (!expiry.empty() && !Period(expiry)) return BadParameter("Property 'expiryTime' has invalid value");
  for (const Json& action : actions) {
    const auto has = [&](const char* name) { return action.contains(name) && action[name].is_object(); };
    if (!action.is_object() || !has("trigger") || !has("action")) {
      return BadParameter("Property 'lifetimeActions' has invalid value");
    }
    KEYHOLD_RETURN_IF_ERROR(StringIn(action["action"], "type").status());
    KEYHOLD_ASSIGN_OR_RETURN(const std::string after, StringIn(action["trigger"], "timeAfterCreate"));
    KEYHOLD_ASSIGN_OR_RETURN(const std::string before, StringIn(action["trigger"], "timeBeforeExpiry"));
    const bool valid =
        after.empty() ? Period(before).has_value() : before.empty() && Period(after).has_value();
    if (!valid) return BadParameter("Property 'trigger' has invalid value");
  }
  return OkStatus();
}

std::string NewVersionId(crypto::Random& random) {
  uint8_t bytes[16];
  random.Fill(bytes);
  return crypto::Hex(bytes);
}

}  // namespace

StatusOr<VaultKey> LiveKey(const KeyCall& key) {
  auto found = key.call.store.FindKey(key.vault.name, key.name);
  if (!found || found->deleted) return KeyNotFound(key.name);
  return *std::move(found);
}

StatusOr<KeyVersion> VersionFor(const KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const VaultKey found, LiveKey(key));
  KEYHOLD_ASSIGN_OR_RETURN(std::vector<KeyVersion> versions, key.call.store.Versions(found));
  if (key.version.empty() && !versions.empty()) return std::move(versions.back());
  for (KeyVersion& version : versions) {
    if (version.version == key.version) return std::move(version);
  }
  return KeyNotFound(absl::StrCat(key.name, "/", key.version));
}

StatusOr<Json> KeyBundle(const KeyVault& vault, const KeyVersion& version) {
  KEYHOLD_ASSIGN_OR_RETURN(const RsaKey rsa, RsaKey::FromDer(version.der.Expose()));
  Json bundle = {{"key",
                  {{"kid", KeyId(vault, version, true)},
                   {"kty", version.kty},
                   {"key_ops", Json::parse(version.operations)},
                   {"n", Base64Url(crypto::AsBytes(rsa.Modulus()))},
                   {"e", Base64Url(crypto::AsBytes(rsa.Exponent()))}}},
                 {"attributes", Attributes(vault, version)}};
  AddTags(version, bundle);
  return bundle;
}

StatusOr<Result> BundleAnswer(const KeyVault& vault, const KeyVersion& version) {
  KEYHOLD_ASSIGN_OR_RETURN(Json bundle, KeyBundle(vault, version));
  return Result{200, std::move(bundle)};
}

Json KeyItem(const KeyVault& vault, const KeyVersion& version, bool with_version) {
  Json item = {{"kid", KeyId(vault, version, with_version)}, {"attributes", Attributes(vault, version)}};
  AddTags(version, item);
  return item;
}

StatusOr<KeyVersion> AddVersion(AzureStore& store, KeyVersion settings, absl::Time now) {
  KEYHOLD_ASSIGN_OR_RETURN(const RsaKey rsa, RsaKey::Generate(settings.bits));
  settings.der = rsa.ToDer();
  settings.version = NewVersionId(store.hsm().random());
  settings.created = settings.updated = now;
  settings.ordinal += 1;
  store.PutVersion(settings);
  return settings;
}

StatusOr<Result> CreateKey(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(KeyVersion settings, ReadNewKey(key));
  auto existing = key.call.store.FindKey(key.vault.name, key.name);
  if (existing && existing->deleted) {
    return AzureError(
        409, "Conflict",
        absl::StrCat("Key ", key.name,
                     " is currently in a deleted but recoverable state, and its name cannot be reused; "
                     "in this state, the key can only be recovered or purged."),
        "ObjectIsDeletedButRecoverable");
  }
  if (existing) {
    KEYHOLD_ASSIGN_OR_RETURN(const std::vector<KeyVersion> versions, key.call.store.Versions(*existing));
    settings.ordinal = versions.empty() ? 0 : versions.back().ordinal;
    settings.name = existing->name;
  } else {
    key.call.store.PutKey({key.vault.name, key.name, {}, {}, ""});
  }
  KEYHOLD_ASSIGN_OR_RETURN(const KeyVersion made,
                           AddVersion(key.call.store, std::move(settings), key.call.now));
  return BundleAnswer(key.vault, made);
}

StatusOr<Result> GetKey(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const KeyVersion version, VersionFor(key));
  return BundleAnswer(key.vault, version);
}

StatusOr<Result> ListKeys(KeyCall& key) {
  std::vector<Json> items;
  for (const VaultKey& found : key.call.store.ListKeys(key.vault.name)) {
    if (found.deleted) continue;
    KEYHOLD_ASSIGN_OR_RETURN(const std::vector<KeyVersion> versions, key.call.store.Versions(found));
    if (!versions.empty()) items.push_back(KeyItem(key.vault, versions.back(), false));
  }
  return Page(key.call, items);
}

StatusOr<Result> ListVersions(KeyCall& key) {
  std::vector<Json> items;
  KEYHOLD_ASSIGN_OR_RETURN(const VaultKey found, LiveKey(key));
  KEYHOLD_ASSIGN_OR_RETURN(const std::vector<KeyVersion> versions, key.call.store.Versions(found));
  for (const KeyVersion& version : versions) items.push_back(KeyItem(key.vault, version, true));
  return Page(key.call, items);
}

StatusOr<Result> UpdateKey(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(KeyVersion version, VersionFor(key));
  KEYHOLD_RETURN_IF_ERROR(ReadSettings(key.call.body, version));
  version.updated = key.call.now;
  key.call.store.PutVersion(version);
  return BundleAnswer(key.vault, version);
}

StatusOr<Result> RotateKey(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(KeyVersion newest, VersionFor(key));
  newest.enabled = true;
  KEYHOLD_ASSIGN_OR_RETURN(const KeyVersion made,
                           AddVersion(key.call.store, std::move(newest), key.call.now));
  return BundleAnswer(key.vault, made);
}

StatusOr<Result> GetRotationPolicy(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(const VaultKey found, LiveKey(key));
  return Result{200, PolicyAnswer(key, found)};
}

StatusOr<Result> PutRotationPolicy(KeyCall& key) {
  KEYHOLD_ASSIGN_OR_RETURN(VaultKey found, LiveKey(key));
  KEYHOLD_RETURN_IF_ERROR(CheckPolicy(key.call.body));
  Json policy = PolicyAnswer(key, found);
  policy["lifetimeActions"] = key.call.body.value("lifetimeActions", Json::array());
  policy["attributes"] = key.call.body.value("attributes", Json::object());
  policy["attributes"]["updated"] = absl::ToUnixSeconds(key.call.now);
  if (!policy["attributes"].contains("created"))
    policy["attributes"]["created"] = absl::ToUnixSeconds(key.call.now);
  found.rotation_policy = policy.dump();
  key.call.store.PutKey(found);
  return Result{200, std::move(policy)};
}

std::optional<absl::Time> RotationDue(const std::string& policy, absl::Time created) {
  const Json parsed = Json::parse(policy);
  // What is absent may be there as null.
  const auto text = [](const Json& object, const char* name) { return StringIn(object, name).value_or(""); };
  const auto expiry = Period(text(parsed["attributes"], "expiryTime"));
  for (const Json& action : parsed["lifetimeActions"]) {
    if (!absl::EqualsIgnoreCase(text(action.value("action", Json::object()), "type"), "Rotate")) continue;
    const Json& trigger = action["trigger"];
    if (const auto after = Period(text(trigger, "timeAfterCreate"))) return created + *after;
    const auto before = Period(text(trigger, "timeBeforeExpiry"));
    if (before && expiry) return created + *expiry - *before;
  }
  return std::nullopt;
}

}  // namespace keyhold::localcloud::azure
