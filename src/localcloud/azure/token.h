// Access tokens of Microsoft Entra ID as this local cloud makes them: JSON Web Tokens (RFC 7519), RS256, with
// the claims that Azure's services look at.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "localcloud/azure/store.h"

namespace keyhold::localcloud::azure {

inline constexpr absl::Duration kTokenLifetime = absl::Hours(1);

// Who makes a request, once its token is verified.
struct Caller {
  std::string client_id, object_id, tenant;
  bool owner = false;
  // "appid=...;oid=...;iss=https://sts.windows.net/TENANT/", as error messages have it.
  std::string Description() const;
};

// A token of `app` for `audience` ("https://vault.azure.net"). kCorrupt: the signing key.
StatusOr<std::string> IssueToken(AzureStore& store, const App& app, const std::string& audience,
                                 absl::Time now);

// The caller of `authorization`, the header's value or null. kUnauthenticated says why there is none, in the
// words of the services: it is not a token of ours for `audience`, or its time is over.
StatusOr<Caller> VerifyToken(AzureStore& store, const std::string* authorization, const std::string& audience,
                             absl::Time now);

// Makes the signing key where there is none.
Status MakeSigningKey(AzureStore& store);

// The JSON Web Key Set (RFC 7517) of the signing key.
StatusOr<Json> KeySet(AzureStore& store);

}  // namespace keyhold::localcloud::azure
