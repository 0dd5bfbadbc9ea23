// Microsoft.KeyVault/vaults of Azure Resource Manager.
#pragma once

#include "localcloud/azure/call.h"

namespace keyhold::localcloud::azure {

// `call` is an owner's, below /subscriptions/ID. 404 for what is not a vault.
StatusOr<Result> ServeVaults(Call& call);

// 3 to 24 letters, digits and hyphens, a letter first.
bool IsVaultName(std::string_view name);

// All key permissions of access policies.
Json AllKeyPermissions();

}  // namespace keyhold::localcloud::azure
