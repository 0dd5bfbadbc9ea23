// Users and their access keys.
//
// Works inside the transaction whose session it is given; used by one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "localcloud/vault.h"

namespace soci {
class session;
}

namespace keyhold::localcloud::aws {

struct User {
  std::string account, name, path, user_id;
  absl::Time created;
};

struct AccessKey {
  std::string id;
  std::string sealed_secret;  // OpenSecret()
  bool active = true;
  absl::Time created;
};

class UserStore {
 public:
  explicit UserStore(soci::session& sql) : sql_(sql) {}

  // NoSuchEntity where there is none.
  StatusOr<User> Find(std::string_view account, std::string_view name);
  std::vector<User> List(std::string_view account);  // by name
  void Add(const User& user);
  void Delete(const User& user);

 private:
  soci::session& sql_;
};

// The access keys of one user.
class AccessKeyStore {
 public:
  AccessKeyStore(soci::session& sql, const User& user) : sql_(sql), user_(user) {}

  std::vector<AccessKey> List();  // by id
  // Replaces the one with its id.
  void Put(const AccessKey& key);
  // False where there was none.
  bool Delete(const std::string& id);

 private:
  soci::session& sql_;
  const User& user_;
};

// An id and a secret at random. The secret is sealed under the id.
AccessKey NewAccessKey(const Vault& vault, absl::Time now);
StatusOr<crypto::SecretBytes> OpenSecret(const Vault& vault, const AccessKey& key);

}  // namespace keyhold::localcloud::aws
