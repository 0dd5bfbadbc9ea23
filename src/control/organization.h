// The first start of a server: organization, admin account, first API key, and the agents' token.
#pragma once

#include <string>

#include "control/core.h"
#include "crypto/secret.h"

namespace keyhold::control {

// Makes what is not there yet; a start that was cut off is completed by the next. `dir` is DIR/server and
// must be there. Files: dir/api-key (made at the very first start only; the user may delete it) and
// dir/agent-token, both 0600 with a newline at the end.
Status Bootstrap(Core& core, const std::string& dir);

// What is in dir/agent-token.
StatusOr<crypto::SecretBytes> ReadAgentToken(const std::string& dir);

StatusOr<Organization> GetOrganization(Core& core);

}  // namespace keyhold::control
