// Accounts and roles, and whose an access key is (users: user_store.h). The part of the state that STS and
// IAM work on, and that authenticates every request.
//
// Works inside the transaction whose session it is given; used by one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "localcloud/aws/inline_policies.h"
#include "localcloud/aws/principal.h"
#include "localcloud/vault.h"

namespace soci {
class session;
}

namespace keyhold::localcloud::aws {

struct Role {
  std::string account, name, path, role_id, trust_policy, description;
  int max_session_seconds = 3600;
  absl::Time created;
};

// Long-term or temporary credentials, and whom they speak for.
struct Credentials {
  Principal principal;
  crypto::SecretBytes secret_access_key;
};

class IdentityStore {
 public:
  IdentityStore(soci::session& sql, const Vault& vault) : sql_(sql), vault_(vault) {}

  // UnrecognizedClientException for an access key that is unknown or inactive.
  StatusOr<Credentials> FindAccessKey(std::string_view access_key_id);

  // NoSuchEntity where there is none.
  StatusOr<Role> FindRole(std::string_view account, std::string_view name);
  std::vector<Role> ListRoles(std::string_view account);
  void PutRole(const Role& role);
  void DeleteRole(std::string_view account, std::string_view name);

  // The documents of a holder's inline policies.
  std::vector<std::string> PoliciesOf(PolicyHolder kind, std::string_view account, std::string_view holder);

  // The account whose files name the user `owner` (accounts.h); "" where there is none yet.
  std::string AccountOf(std::string_view owner);
  void AddAccount(std::string_view account, std::string_view owner);
  bool HasAccount(std::string_view account);
  // Whether `arn` (root, user, role or session) may stand in a policy: true for accounts that are not here,
  // about which nothing is known.
  bool PrincipalExists(std::string_view arn);

 private:
  soci::session& sql_;
  const Vault& vault_;
};

// `prefix` ("AIDA", "AKIA", "AROA", "ASIA") and 16 random characters, as AWS forms its ids.
std::string NewUniqueId(std::string_view prefix, crypto::Random& random);
// 40 characters, 240 random bits.
crypto::SecretBytes NewSecretAccessKey(crypto::Random& random);

}  // namespace keyhold::localcloud::aws
