// The projects and accounts that a local cloud begins with: the customer's, and the platform's.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "localcloud/database.h"
#include "localcloud/directory.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud::gcp {

// Makes them where they are missing, writes their files into `directory`, and adds the part "gcp" to
// `customer` and `principals`:
//   customer/gcp-key.json, customer/gcp-access-token   an owner of the customer's project (0600)
//   platform/gcp-key.json                              the platform's account, which may do nothing yet
//   (0600)
Status SetUpAccounts(Database& database, const Vault& vault, const Directory& directory, absl::Time now,
                     nlohmann::json& customer, nlohmann::json& principals);

}  // namespace keyhold::localcloud::gcp
