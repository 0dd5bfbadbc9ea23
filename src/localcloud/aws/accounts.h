// The two AWS accounts of the local cloud, and the files by which their credentials reach whoever acts for
// them: the customer, who owns keys and grants access, and the platform, Keyhold itself.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "localcloud/database.h"
#include "localcloud/directory.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud::aws {

// Makes both accounts at the first start, and writes platform/aws-credentials. What was taken from the users
// of these files since, a later start gives back as an account's root would: the user, its policy, an active
// key. `customer` and `principals` get the member "aws" of customer.json and principals.json.
Status SetUpAccounts(Database& database, const Vault& vault, const Directory& directory, absl::Time now,
                     nlohmann::json& customer, nlohmann::json& principals);

}  // namespace keyhold::localcloud::aws
