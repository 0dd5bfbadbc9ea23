// Temporary credentials of an assumed role. The session token carries all that is known of them, sealed: the
// local cloud keeps no list of sessions, and a token works across restarts until it expires.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "localcloud/aws/identity_store.h"

namespace keyhold::localcloud::aws {

struct Session {
  std::string access_key_id;
  crypto::SecretBytes secret_access_key;
  std::string account, role, role_id, session_name;
  absl::Time expires;
};

std::string SealSession(const Vault& vault, const Session& session);

// UnrecognizedClientException where `token` was not made here or belongs to another access key.
StatusOr<Session> OpenSession(const Vault& vault, std::string_view token, std::string_view access_key_id);

}  // namespace keyhold::localcloud::aws
