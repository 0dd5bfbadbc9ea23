// Azure Key Vault's data plane for keys, api-version 7.0 and later.
//
// https://learn.microsoft.com/rest/api/keyvault/keys/operation-groups; soft delete as of
// https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview. Secrets, certificates, import,
// backup, release, signatures and keys that are not RSA are not built: they answer 501, or BadParameter.
#pragma once

#include "localcloud/azure/call.h"

namespace keyhold::localcloud::azure {

// The answer of `vault` to `call`, whose caller is known.
StatusOr<Result> ServeVault(Call& call, const KeyVault& vault);

// Purges what its retention has ended, and rotates what its rotation policy says is due.
Status SweepVaults(AzureStore& store, absl::Time now);

}  // namespace keyhold::localcloud::azure
