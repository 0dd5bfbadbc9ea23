// Azure Resource Manager, as far as vaults and access to them need it: subscriptions, resource groups,
// Microsoft.KeyVault/vaults with access policies and soft delete, role assignments of Key Vault's built-in
// roles.
//
// https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults (2022-07-01 and later),
// https://learn.microsoft.com/rest/api/authorization/role-assignments (2022-04-01),
// https://learn.microsoft.com/rest/api/resources/.
#pragma once

#include "localcloud/azure/call.h"

namespace keyhold::localcloud::azure {

inline constexpr char kManagementHost[] = "management.azure.com";

// Only owners of the subscription may call it; others get 403 AuthorizationFailed.
StatusOr<Result> ServeManagement(Call& call);

}  // namespace keyhold::localcloud::azure
