// From a request to the principal that made it.
#pragma once

#include "localcloud/aws/host.h"
#include "localcloud/aws/identity_store.h"
#include "localcloud/http.h"

namespace keyhold::localcloud::aws {

// Verifies the signature (sigv4.h) and the session token, if there is one. Errors, in AWS's names:
// MissingAuthenticationTokenException, IncompleteSignatureException, UnrecognizedClientException,
// InvalidSignatureException, ExpiredTokenException.
StatusOr<Principal> Authenticate(const HttpRequest& request, const Endpoint& endpoint,
                                 IdentityStore& identities, const Vault& vault, absl::Time now);

}  // namespace keyhold::localcloud::aws
