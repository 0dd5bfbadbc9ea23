// A vault's answer to a request without a token: whom to ask for one.
//
// WWW-Authenticate: Bearer authorization="https://login.microsoftonline.com/TENANT",
// resource="https://vault.azure.net" (RFC 9110 section 11.6.1;
// https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses). It comes from
// the other side, so it decides nothing but the tenant: hosts are those of the table in key_uri.h.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "kms/azure/key_uri.h"

namespace keyhold::kms::azure {

// The tenant of a challenge to a request for a key in `cloud`. kKmsCorrupt when it is not understood,
// leads to a host that is not that cloud's Microsoft login, or asks for a token for somebody else.
StatusOr<std::string> TenantOfChallenge(std::string_view www_authenticate, const AzureCloud& cloud);

}  // namespace keyhold::kms::azure
