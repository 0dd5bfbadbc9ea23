#include "localcloud/azure/vaults.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "localcloud/azure/access.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr char kType[] = "Microsoft.KeyVault/vaults";
constexpr int kMinRetention = 7;
constexpr int kMaxRetention = 90;

Status NotFound(const Call& call, const std::string& name) {
  return AzureError(404, "ResourceNotFound",
                    absl::StrCat("The Resource '", kType, "/", name, "' under resource group '",
                                 call.path.size() > 3 ? call.path[3] : "", "' was not found."));
}

Json VaultJson(AzureStore& store, const KeyVault& vault) {
  Json properties = {
      {"sku", {{"family", "A"}, {"name", "premium"}}},
      {"tenantId", store.Setting("tenant_id")},
      {"accessPolicies", Json::parse(vault.access_policies)},
      {"enabledForDeployment", false},
      {"enableSoftDelete", true},
      {"softDeleteRetentionInDays", vault.retention_days},
      {"enableRbacAuthorization", vault.rbac},
      {"vaultUri", absl::StrCat("https://", absl::AsciiStrToLower(vault.name), ".vault.azure.net/")},
      {"provisioningState", "Succeeded"},
      {"publicNetworkAccess", "Enabled"}};
  if (vault.purge_protection) properties["enablePurgeProtection"] = true;
  return {{"id", VaultId(store, vault)},
          {"name", vault.name},
          {"type", kType},
          {"location", vault.location},
          {"tags", Json::parse(vault.tags)},
          {"properties", std::move(properties)}};
}

// Access policies as they come in: every one has an object id and a list of key permissions.
StatusOr<Json> Policies(const Json& given, const std::string& tenant) {
  if (!given.is_array()) return BadParameter("accessPolicies is not a list");
  Json policies = Json::array();
  for (const Json& policy : given) {
    if (!policy.is_object()) return BadParameter("an access policy is not an object");
    KEYHOLD_ASSIGN_OR_RETURN(const std::string object_id, StringIn(policy, "objectId"));
    const Json permissions = policy.value("permissions", Json::object());
    const Json keys = permissions.is_object() ? permissions.value("keys", Json(nullptr)) : Json(nullptr);
    if (object_id.empty() || !(keys.is_array() || keys.is_null())) {
      return BadParameter("an access policy needs objectId and permissions.keys");
    }
    const Json names = keys.is_null() ? Json::array() : keys;
    if (!std::all_of(names.begin(), names.end(), [](const Json& name) { return name.is_string(); })) {
      return BadParameter("permissions.keys is not a list of names");
    }
    policies.push_back({{"tenantId", tenant}, {"objectId", object_id}, {"permissions", {{"keys", names}}}});
  }
  return policies;
}

Status ReadProperties(const Call& call, const Json& properties, KeyVault& vault) {
  KEYHOLD_ASSIGN_OR_RETURN(vault.rbac, BoolIn(properties, "enableRbacAuthorization", vault.rbac));
  KEYHOLD_ASSIGN_OR_RETURN(const bool protect,
                           BoolIn(properties, "enablePurgeProtection", vault.purge_protection));
  if (vault.purge_protection && !protect) {
    return AzureError(
        400, "BadRequest",
        "The property \"enablePurgeProtection\" cannot be set to false. Enabling the purge protection "
        "for a vault is an irreversible action.");
  }
  vault.purge_protection = protect;
  KEYHOLD_ASSIGN_OR_RETURN(const int64_t days,
                           IntIn(properties, "softDeleteRetentionInDays", vault.retention_days));
  if (days < kMinRetention || days > kMaxRetention) {
    return AzureError(400, "BadRequest", "softDeleteRetentionInDays must be between 7 and 90.");
  }
  vault.retention_days = static_cast<int>(days);
  if (!properties.contains("accessPolicies") || properties["accessPolicies"].is_null()) return OkStatus();
  KEYHOLD_ASSIGN_OR_RETURN(const Json policies,
                           Policies(properties["accessPolicies"], call.store.Setting("tenant_id")));
  vault.access_policies = policies.dump();
  return OkStatus();
}

StatusOr<Result> PutVault(Call& call, const std::string& group, const std::string& name) {
  const auto existing = call.store.FindVault(name);
  const Json properties = call.body.value("properties", Json::object());
  if (!IsVaultName(name) || !properties.is_object()) {
    return AzureError(400, "VaultNameNotValid",
                      "The vault name '" + name +
                          "' is invalid. A vault's name must be between 3-24 alphanumeric "
                          "characters.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const std::string mode, StringIn(properties, "createMode"));
  if (existing && existing->deleted && mode != "recover") {
    return AzureError(
        409, "ConflictError",
        "A vault with the same name already exists in deleted state. You need to either recover or "
        "purge existing key vault.");
  }
  KeyVault vault = existing.value_or(
      KeyVault{absl::AsciiStrToLower(name), group, "", false, false, 90, "[]", "{}", call.now, std::nullopt});
  if (!existing && mode == "recover") return NotFound(call, name);
  KEYHOLD_ASSIGN_OR_RETURN(const std::string location, StringIn(call.body, "location", vault.location));
  if (location.empty()) return AzureError(400, "LocationRequired", "The location property is required.");
  if (!existing) vault.location = absl::AsciiStrToLower(location);
  vault.deleted.reset();
  KEYHOLD_RETURN_IF_ERROR(ReadProperties(call, properties, vault));
  if (call.body.contains("tags") && call.body["tags"].is_object()) vault.tags = call.body["tags"].dump();
  call.store.PutVault(vault);
  return Result{existing ? 200 : 201, VaultJson(call.store, vault)};
}

// PUT .../accessPolicies/add|replace|remove.
StatusOr<Result> ChangePolicies(Call& call, KeyVault vault, const std::string& kind) {
  const Json properties = call.body.value("properties", Json::object());
  if (!properties.is_object()) return BadParameter("properties is not an object");
  KEYHOLD_ASSIGN_OR_RETURN(const Json given, Policies(properties.value("accessPolicies", Json::array()),
                                                      call.store.Setting("tenant_id")));
  Json kept = Json::array();
  for (const Json& policy : Json::parse(vault.access_policies)) {
    const bool named = std::any_of(given.begin(), given.end(), [&](const Json& other) {
      return other["objectId"] == policy["objectId"];
    });
    if (kind != "replace" && !named) kept.push_back(policy);
    if (kind == "add" && named) {
      // Adding gives permissions to what there is.
      for (const Json& other : given) {
        if (other["objectId"] != policy["objectId"]) continue;
        Json merged = policy;
        for (const Json& name : other["permissions"]["keys"]) {
          Json& keys = merged["permissions"]["keys"];
          if (std::find(keys.begin(), keys.end(), name) == keys.end()) keys.push_back(name);
        }
        kept.push_back(merged);
      }
    }
  }
  for (const Json& policy : given) {
    const bool there = std::any_of(
        kept.begin(), kept.end(), [&](const Json& other) { return other["objectId"] == policy["objectId"]; });
    if (kind != "remove" && !there) kept.push_back(policy);
  }
  vault.access_policies = kept.dump();
  call.store.PutVault(vault);
  return Result{200,
                {{"id", VaultId(call.store, vault) + "/accessPolicies/"},
                 {"type", "Microsoft.KeyVault/vaults/accessPolicies"},
                 {"properties", {{"accessPolicies", kept}}}}};
}

StatusOr<Result> ServeOne(Call& call, const std::string& group, const std::string& name) {
  if (call.http.method == "PUT" && call.path.size() == 8) return PutVault(call, group, name);
  auto vault = call.store.FindVault(name);
  if (!vault || vault->deleted || !absl::EqualsIgnoreCase(vault->group, group)) return NotFound(call, name);
  if (call.path.size() == 10 && call.http.method == "PUT" &&
      absl::EqualsIgnoreCase(call.path[8], "accessPolicies")) {
    const std::string kind = absl::AsciiStrToLower(call.path[9]);
    if (kind == "add" || kind == "replace" || kind == "remove") return ChangePolicies(call, *vault, kind);
  }
  if (call.path.size() != 8) return NotBuilt("this part of a vault");
  if (call.http.method == "GET") return Result{200, VaultJson(call.store, *vault)};
  if (call.http.method == "PATCH") {
    const Json properties = call.body.value("properties", Json::object());
    if (!properties.is_object()) return BadParameter("properties is not an object");
    KEYHOLD_RETURN_IF_ERROR(ReadProperties(call, properties, *vault));
    call.store.PutVault(*vault);
    return Result{200, VaultJson(call.store, *vault)};
  }
  if (call.http.method != "DELETE") return NotBuilt("this method of a vault");
  vault->deleted = call.now;
  call.store.PutVault(*vault);
  return Result{200, nullptr};
}

Json DeletedJson(AzureStore& store, const KeyVault& vault) {
  const auto text = [](absl::Time time) {
    return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
  };
  return {{"name", vault.name},
          {"type", "Microsoft.KeyVault/deletedVaults"},
          {"properties",
           {{"vaultId", VaultId(store, vault)},
            {"location", vault.location},
            {"deletionDate", text(*vault.deleted)},
            {"scheduledPurgeDate", text(*vault.deleted + absl::Hours(24 * vault.retention_days))}}}};
}

// .../providers/Microsoft.KeyVault/locations/L/deletedVaults/NAME[/purge]
StatusOr<Result> ServeDeleted(Call& call) {
  const auto vault = call.store.FindVault(call.path[7]);
  if (!vault || !vault->deleted) {
    return AzureError(404, "DeletedVaultNotFound",
                      absl::StrCat("The specified deleted vault '", call.path[7], "' does not exist."));
  }
  if (call.path.size() == 8 && call.http.method == "GET") return Result{200, DeletedJson(call.store, *vault)};
  if (call.path.size() != 9 || call.http.method != "POST") return NotBuilt("this part of a deleted vault");
  if (vault->purge_protection) {
    return AzureError(403, "MethodNotAllowed", "Purge protection is enabled for this vault.");
  }
  call.store.PurgeVault(vault->name);
  return Result{200, nullptr};
}

StatusOr<Result> ListVaults(Call& call, bool deleted, const std::string& group) {
  Json value = Json::array();
  for (const KeyVault& vault : call.store.ListVaults()) {
    if (vault.deleted.has_value() != deleted) continue;
    if (!group.empty() && !absl::EqualsIgnoreCase(vault.group, group)) continue;
    value.push_back(deleted ? DeletedJson(call.store, vault) : VaultJson(call.store, vault));
  }
  return Result{200, {{"value", value}}};
}

}  // namespace

bool IsVaultName(std::string_view name) {
  return name.size() >= 3 && name.size() <= 24 && std::isalpha(static_cast<unsigned char>(name[0])) != 0 &&
         name.back() != '-' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-';
         });
}

Json AllKeyPermissions() {
  return {"get",
          "list",
          "update",
          "create",
          "import",
          "delete",
          "recover",
          "backup",
          "restore",
          "encrypt",
          "decrypt",
          "wrapKey",
          "unwrapKey",
          "sign",
          "verify",
          "purge",
          "rotate",
          "getrotationpolicy",
          "setrotationpolicy"};
}

StatusOr<Result> ServeVaults(Call& call) {
  if (call.Is("GET", {"subscriptions", "*", "providers", "Microsoft.KeyVault", "vaults"}) ||
      call.Is("GET", {"subscriptions", "*", "resources"})) {
    return ListVaults(call, false, "");
  }
  if (call.Is("GET", {"subscriptions", "*", "providers", "Microsoft.KeyVault", "deletedVaults"})) {
    return ListVaults(call, true, "");
  }
  if (call.Is("GET",
              {"subscriptions", "*", "resourceGroups", "*", "providers", "Microsoft.KeyVault", "vaults"})) {
    return ListVaults(call, false, call.path[3]);
  }
  const auto at = [&](size_t index, const char* word) {
    return call.path.size() > index && absl::EqualsIgnoreCase(call.path[index], word);
  };
  if (at(3, "Microsoft.KeyVault") && at(6, "deletedVaults") && call.path.size() > 7)
    return ServeDeleted(call);
  if (at(2, "resourceGroups") && at(5, "Microsoft.KeyVault") && at(6, "vaults") && call.path.size() >= 8) {
    if (!call.store.GroupLocation(call.path[3])) {
      return AzureError(404, "ResourceGroupNotFound",
                        absl::StrCat("Resource group '", call.path[3], "' could not be found."));
    }
    return ServeOne(call, call.path[3], call.path[7]);
  }
  return NotBuilt("this resource type");
}

}  // namespace keyhold::localcloud::azure
