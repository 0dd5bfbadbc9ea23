#include "localcloud/azure/vault_service.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "localcloud/azure/access.h"
#include "localcloud/azure/key_service.h"

namespace keyhold::localcloud::azure {
namespace {

// '*' stands for a name; a second one for a version. An empty version and a trailing slash mean the newest.
struct Operation {
  std::string_view method;
  std::string_view path;
  std::string_view permission;
  std::string_view log_name;  // operationName of Key Vault's diagnostics
  StatusOr<Result> (*serve)(KeyCall&);
};
constexpr Operation kOperations[] = {
    {"GET", "keys", "list", "KeyList", ListKeys},
    {"POST", "keys/*/create", "create", "KeyCreate", CreateKey},
    {"GET", "keys/*/versions", "list", "KeyListVersions", ListVersions},
    {"POST", "keys/*/rotate", "rotate", "KeyRotate", RotateKey},
    {"GET", "keys/*/rotationpolicy", "getrotationpolicy", "KeyRotationPolicyGet", GetRotationPolicy},
    {"PUT", "keys/*/rotationpolicy", "setrotationpolicy", "KeyRotationPolicyUpdate", PutRotationPolicy},
    {"GET", "keys/*", "get", "KeyGet", GetKey},
    {"GET", "keys/*/*", "get", "KeyGet", GetKey},
    {"PATCH", "keys/*", "update", "KeyUpdate", UpdateKey},
    {"PATCH", "keys/*/*", "update", "KeyUpdate", UpdateKey},
    {"DELETE", "keys/*", "delete", "KeyDelete", DeleteKey},
    {"POST", "keys/*/encrypt", "encrypt", "KeyEncrypt", EncryptWithKey},
    {"POST", "keys/*/decrypt", "decrypt", "KeyDecrypt", DecryptWithKey},
    {"POST", "keys/*/wrapkey", "wrapKey", "KeyWrap", WrapWithKey},
    {"POST", "keys/*/unwrapkey", "unwrapKey", "KeyUnwrap", UnwrapWithKey},
    {"POST", "keys/*/*/encrypt", "encrypt", "KeyEncrypt", EncryptWithKey},
    {"POST", "keys/*/*/decrypt", "decrypt", "KeyDecrypt", DecryptWithKey},
    {"POST", "keys/*/*/wrapkey", "wrapKey", "KeyWrap", WrapWithKey},
    {"POST", "keys/*/*/unwrapkey", "unwrapKey", "KeyUnwrap", UnwrapWithKey},
    {"GET", "deletedkeys", "list", "KeyListDeleted", ListDeletedKeys},
    {"GET", "deletedkeys/*", "get", "KeyGetDeleted", GetDeletedKey},
    {"POST", "deletedkeys/*/recover", "recover", "KeyRecover", RecoverKey},
    {"DELETE", "deletedkeys/*", "purge", "KeyPurge", PurgeKey},
};

bool Matches(const Operation& operation, const Call& call) {
  if (call.http.method != operation.method) return false;
  std::string_view pattern = operation.path;
  for (const std::string& segment : call.path) {
    if (pattern.empty()) return false;
    const std::string_view want = pattern.substr(0, pattern.find('/'));
    if (want != "*" && !absl::EqualsIgnoreCase(segment, std::string(want))) return false;
    pattern.remove_prefix(std::min(pattern.size(), want.size() + 1));
  }
  return pattern.empty();
}

bool IsKeyName(std::string_view name) {
  return !name.empty() && name.size() <= 127 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-';
  });
}

// The version is the path's third segment where that is not a word of the operation.
std::string VersionIn(const Operation& operation, const Call& call) {
  return absl::StartsWith(std::string(operation.path), "keys/*/*") ? call.path[2] : std::string();
}

Status RotateWhereDue(AzureStore& store, const VaultKey& key, absl::Time now) {
  if (key.deleted || key.rotation_policy.empty()) return OkStatus();
  KEYHOLD_ASSIGN_OR_RETURN(std::vector<KeyVersion> versions, store.Versions(key));
  if (versions.empty()) return OkStatus();
  const auto due = RotationDue(key.rotation_policy, versions.back().created);
  if (!due || *due > now) return OkStatus();
  versions.back().enabled = true;
  return AddVersion(store, std::move(versions.back()), now).status();
}

}  // namespace

StatusOr<Result> ServeVault(Call& call, const KeyVault& vault) {
  if (call.Query("api-version").empty()) {
    return BadParameter("The request has no api-version; 7.4 is one.");
  }
  const auto* operation = std::find_if(std::begin(kOperations), std::end(kOperations),
                                       [&](const Operation& known) { return Matches(known, call); });
  if (operation == std::end(kOperations)) {
    return NotBuilt(absl::StrCat(call.http.method, " /", call.path.empty() ? "" : call.path[0], "/..."));
  }
  call.record.action = operation->log_name;
  KeyCall key{call, vault, call.path.size() > 1 ? call.path[1] : "", VersionIn(*operation, call)};
  if (!key.name.empty()) {
    if (!IsKeyName(key.name)) return BadParameter("The request URI contains an invalid name.");
    call.record.key = absl::StrCat("https://", call.http.host, "/keys/", key.name,
                                   key.version.empty() ? "" : "/", key.version);
  }
  KEYHOLD_RETURN_IF_ERROR(Authorize(call, vault, key.name, operation->permission));
  return operation->serve(key);
}

Status SweepVaults(AzureStore& store, absl::Time now) {
  for (const KeyVault& vault : store.ListVaults()) {
    if (vault.deleted && *vault.deleted + absl::Hours(24 * vault.retention_days) <= now) {
      store.PurgeVault(vault.name);
      continue;
    }
    for (const VaultKey& key : store.ListKeys(vault.name)) {
      if (key.purge && *key.purge <= now) {
        store.PurgeKey(key);
        continue;
      }
      KEYHOLD_RETURN_IF_ERROR(RotateWhereDue(store, key, now));
    }
  }
  return OkStatus();
}

}  // namespace keyhold::localcloud::azure
