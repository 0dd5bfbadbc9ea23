// The Azure tenant of the local cloud, and the files by which its credentials reach whoever acts for it: the
// customer, who owns a subscription with one vault, and the platform, Keyhold itself.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "absl/time/time.h"
#include "localcloud/database.h"
#include "localcloud/directory.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud::azure {

// Makes tables, tenant, applications and vault at the first start, and writes platform/azure-client.pem, the
// certificate and key by which the platform's application proves itself. `customer` and `principals` get the
// member "azure" of customer.json and principals.json: {"tenant_id","client_id","client_secret",
// "subscription_id","resource_group","vault","location"} and {"principal_id","client_id","tenant_id"}.
Status SetUpAccounts(Database& database, const Vault& hsm, const Directory& directory, absl::Time now,
                     nlohmann::json& customer, nlohmann::json& principals);

}  // namespace keyhold::localcloud::azure
