// Accounts, users and roles: who there is, and with which credentials. The part of the state that STS and IAM
// work on, and that authenticates every request.
//
// Works inside the transaction whose session it is given; used by one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "localcloud/aws/principal.h"
#include "localcloud/vault.h"

namespace soci {
class session;
}

namespace keyhold::localcloud::aws {

struct User {
  std::string account, name, user_id, access_key_id;
  std::string policy;  // identity policy, JSON
  crypto::SecretBytes secret_access_key;
};

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

  // A new account with one user, its id and credentials at random.
  StatusOr<User> AddUser(std::string_view account, std::string_view name, std::string_view policy);
  // kNotFound where there is none.
  StatusOr<User> FindUserByName(std::string_view name);
  // UnrecognizedClientException for an unknown access key.
  StatusOr<Credentials> FindAccessKey(std::string_view access_key_id);

  // NoSuchEntity where there is none.
  StatusOr<Role> FindRole(std::string_view account, std::string_view name);
  std::vector<Role> ListRoles(std::string_view account);
  void PutRole(const Role& role);
  void DeleteRole(std::string_view account, std::string_view name);

  // The inline policies of a role: name and document.
  std::vector<std::pair<std::string, std::string>> RolePolicies(std::string_view account,
                                                                std::string_view role);
  void PutRolePolicy(std::string_view account, std::string_view role, std::string_view name,
                     std::string_view document);
  // False where there was none.
  bool DeleteRolePolicy(std::string_view account, std::string_view role, std::string_view name);

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
