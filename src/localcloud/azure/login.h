// Microsoft Entra ID's login host, as far as applications need it: discovery, keys, and the client
// credentials grant by secret or by certificate.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
// .../certificate-credentials, .../v2-protocols-oidc; errors: .../reference-error-codes.
#pragma once

#include "localcloud/azure/call.h"

namespace keyhold::localcloud::azure {

inline constexpr char kLoginHost[] = "login.microsoftonline.com";
inline constexpr char kLoginAlias[] = "login.windows.net";  // of v1 and of old challenges

// Errors are AzureError()s whose code is OAuth's and whose inner code is the AADSTS number. `call` has its
// path, and no body.
StatusOr<Result> ServeLogin(Call& call);

// An OAuth error in Entra's form.
Json LoginErrorBody(const Status& error, absl::Time now, const std::string& request_id);

}  // namespace keyhold::localcloud::azure
