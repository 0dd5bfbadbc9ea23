#include "localcloud/azure/access.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyhold::localcloud::azure {
namespace {

struct Permission {
  absl::string_view policy;  // in access policies
  absl::string_view action;  // of roles, after "Microsoft.KeyVault/vaults/"
};
constexpr Permission kPermissions[] = {
    {"get", "keys/read"},
    {"list", "keys/read"},
    {"create", "keys/create/action"},
    {"import", "keys/import/action"},
    {"update", "keys/update/action"},
    {"delete", "keys/delete"},
    {"recover", "keys/recover/action"},
    {"purge", "keys/purge/action"},
    {"backup", "keys/backup/action"},
    {"restore", "keys/restore/action"},
    {"encrypt", "keys/encrypt/action"},
    {"decrypt", "keys/decrypt/action"},
    {"wrapKey", "keys/wrap/action"},
    {"unwrapKey", "keys/unwrap/action"},
    {"sign", "keys/sign/action"},
    {"verify", "keys/verify/action"},
    {"rotate", "keys/rotate/action"},
    {"getrotationpolicy", "keyrotationpolicies/read"},
    {"setrotationpolicy", "keyrotationpolicies/write"},
};

struct Role {
  absl::string_view guid;
  absl::string_view name;
  absl::string_view actions;  // comma separated; "*" ends one
};
constexpr absl::string_view kUse =
    "keys/read,keys/update/action,keys/backup/action,keys/encrypt/action,keys/decrypt/action,keys/wrap/"
    "action,"
    "keys/unwrap/action,keys/sign/action,keys/verify/action";
constexpr Role kRoles[] = {
    {"00482a5a-887f-4fb3-b363-3b7fe8e74483", "Key Vault Administrator", "*"},
    {"14b46e9e-c2b7-41b4-b07b-48a6ebf60603", "Key Vault Crypto Officer", "keys/*,keyrotationpolicies/*"},
    {"12338af0-0e69-4776-bea7-57ae8d297424", "Key Vault Crypto User", kUse},
    {"e147488a-f6f5-4113-8e2d-b22465e65bf6", "Key Vault Crypto Service Encryption User",
     "keys/read,keys/wrap/action,keys/unwrap/action"},
    {"21090545-7ca7-4776-b22c-e363652d74d2", "Key Vault Reader", "keys/read"},
};

const Role* FindRole(std::string_view guid_or_name) {
  const absl::string_view wanted(guid_or_name.data(), guid_or_name.size());
  const auto* found = std::find_if(std::begin(kRoles), std::end(kRoles), [&](const Role& role) {
    return absl::EqualsIgnoreCase(role.guid, wanted) || absl::EqualsIgnoreCase(role.name, wanted);
  });
  return found == std::end(kRoles) ? nullptr : found;
}

const Permission* FindPermission(std::string_view policy) {
  const absl::string_view wanted(policy.data(), policy.size());
  const auto* found = std::find_if(std::begin(kPermissions), std::end(kPermissions),
                                   [&](const Permission& permission) { return permission.policy == wanted; });
  return found == std::end(kPermissions) ? nullptr : found;
}

bool Covers(const Role& role, absl::string_view action) {
  absl::string_view rest = role.actions;
  while (!rest.empty()) {
    absl::string_view pattern = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), pattern.size() + 1));
    if (absl::EndsWith(pattern, "*") ? absl::StartsWith(action, pattern.substr(0, pattern.size() - 1))
                                     : pattern == action) {
      return true;
    }
  }
  return false;
}

// A scope covers itself and what is below it.
bool IsWithin(const std::string& resource, const std::string& scope) {
  return scope == "/" || resource == scope || absl::StartsWith(resource, scope + "/");
}

std::string Where(const KeyVault& vault) { return absl::StrCat(vault.name, ";location=", vault.location); }

Status AuthorizeByPolicy(const Call& call, const KeyVault& vault, std::string_view permission) {
  for (const Json& policy : Json::parse(vault.access_policies)) {
    if (policy.value("objectId", "") != call.caller.object_id) continue;
    for (const Json& granted : policy["permissions"]["keys"]) {
      const std::string name = granted.get<std::string>();
      if (absl::EqualsIgnoreCase(name, "all") || absl::EqualsIgnoreCase(name, std::string(permission))) {
        return OkStatus();
      }
    }
  }
  return AzureError(
      403, "Forbidden",
      absl::StrCat("The user, group or application '", call.caller.Description(), "' does not have keys ",
                   std::string(permission), " permission on key vault '", Where(vault),
                   "'. For help resolving this issue, please see "
                   "https://go.microsoft.com/fwlink/?linkid=2125287"),
      "AccessDenied");
}

Status AuthorizeByRole(const Call& call, const KeyVault& vault, std::string_view key,
                       absl::string_view action) {
  std::string resource = absl::AsciiStrToLower(VaultId(call.store, vault));
  if (!key.empty()) absl::StrAppend(&resource, "/keys/", absl::AsciiStrToLower(std::string(key)));
  for (const RoleAssignment& assignment : call.store.Assignments()) {
    const Role* role = FindRole(assignment.role);
    if (role != nullptr && assignment.principal_id == call.caller.object_id &&
        IsWithin(resource, assignment.scope) && Covers(*role, action)) {
      return OkStatus();
    }
  }
  return AzureError(
      403, "Forbidden",
      absl::StrCat(
          "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments "
          "or role definitions were changed recently, please observe propagation time.\r\nCaller: ",
          call.caller.Description(), "\r\nAction: 'Microsoft.KeyVault/vaults/", action, "'\r\nResource: '",
          resource, "'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\n",
          "Vault: ", Where(vault), "\r\n"),
      "ForbiddenByRbac");
}

}  // namespace

std::string VaultId(AzureStore& store, const KeyVault& vault) {
  return absl::StrCat("/subscriptions/", store.Setting("subscription_id"), "/resourceGroups/", vault.group,
                      "/providers/Microsoft.KeyVault/vaults/", vault.name);
}

Status Authorize(const Call& call, const KeyVault& vault, std::string_view key, std::string_view permission) {
  if (!vault.rbac) return AuthorizeByPolicy(call, vault, permission);
  const Permission* known = FindPermission(permission);
  if (known == nullptr) return Error(Cause::kInternal, "an unknown key permission");
  return AuthorizeByRole(call, vault, key, known->action);
}

std::string RoleGuid(std::string_view guid_or_name) {
  const Role* role = FindRole(guid_or_name);
  return role == nullptr ? std::string() : std::string(role->guid);
}

std::string_view RoleName(std::string_view guid) {
  const Role* role = FindRole(guid);
  return role == nullptr ? std::string_view() : std::string_view(role->name.data(), role->name.size());
}

std::vector<std::string> RoleGuids() {
  std::vector<std::string> guids;
  for (const Role& role : kRoles) guids.emplace_back(role.guid);
  return guids;
}

}  // namespace keyhold::localcloud::azure
