// Whether a caller may do something with a vault's keys: access policies, or roles where the vault says so.
//
// https://learn.microsoft.com/azure/key-vault/general/assign-access-policy,
// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security (the roles and their
// data actions), https://learn.microsoft.com/azure/key-vault/general/rbac-migration (which is which).
#pragma once

#include <string>
#include <string_view>

#include "localcloud/azure/call.h"

namespace keyhold::localcloud::azure {

// `permission` is an access policy's: "unwrapKey". `key` may be empty: the vault's keys in general. 403
// Forbidden, in the words of the model that decided, otherwise.
Status Authorize(const Call& call, const KeyVault& vault, std::string_view key, std::string_view permission);

// "/subscriptions/S/resourceGroups/G/providers/Microsoft.KeyVault/vaults/V"
std::string VaultId(AzureStore& store, const KeyVault& vault);

// The GUID of a built-in Key Vault role by its GUID or name; "" for one that is not known.
std::string RoleGuid(std::string_view guid_or_name);
// Its name by its GUID, which is one.
std::string_view RoleName(std::string_view guid);
// GUIDs of all.
std::vector<std::string> RoleGuids();

}  // namespace keyhold::localcloud::azure
