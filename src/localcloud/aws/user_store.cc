#include "localcloud/aws/user_store.h"

#include "absl/strings/str_cat.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/identity_store.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kUserColumns[] = "account_id, name, path, user_id, created";  // as UserFrom() takes them

std::string SecretLabel(const std::string& access_key_id) {
  return "keyhold localcloud aws secret access key|" + access_key_id;
}

User UserFrom(const soci::row& row) {
  return {row.get<std::string>(0), row.get<std::string>(1), row.get<std::string>(2), row.get<std::string>(3),
          absl::FromUnixSeconds(row.get<long long>(4))};
}

}  // namespace

StatusOr<User> UserStore::Find(std::string_view account, std::string_view name) {
  std::string a(account), n(name);
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT " << kUserColumns << " FROM users WHERE account_id = :a AND name = :n",
       soci::use(a), soci::use(n));
  for (const soci::row& row : rows) return UserFrom(row);
  return AwsError("NoSuchEntity", absl::StrCat("The user with name ", n, " cannot be found."));
}

std::vector<User> UserStore::List(std::string_view account) {
  std::string a(account);
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT " << kUserColumns << " FROM users WHERE account_id = :a ORDER BY name",
       soci::use(a));
  std::vector<User> users;
  for (const soci::row& row : rows) users.push_back(UserFrom(row));
  return users;
}

void UserStore::Add(const User& user) {
  long long created = absl::ToUnixSeconds(user.created);
  sql_ << "INSERT INTO users (account_id, name, path, user_id, created) VALUES (:a, :n, :p, :u, :c)",
      soci::use(user.account), soci::use(user.name), soci::use(user.path), soci::use(user.user_id),
      soci::use(created);
}

void UserStore::Delete(const User& user) {
  sql_ << "DELETE FROM users WHERE account_id = :a AND name = :n", soci::use(user.account),
      soci::use(user.name);
}

std::vector<AccessKey> AccessKeyStore::List() {
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT access_key_id, sealed_secret, status, created FROM access_keys WHERE "
                       "account_id = :a AND user = :u ORDER BY access_key_id",
       soci::use(user_.account), soci::use(user_.name));
  std::vector<AccessKey> keys;
  for (const soci::row& row : rows) {
    keys.push_back({row.get<std::string>(0), row.get<std::string>(1), row.get<std::string>(2) == "Active",
                    absl::FromUnixSeconds(row.get<long long>(3))});
  }
  return keys;
}

void AccessKeyStore::Put(const AccessKey& key) {
  std::string status = key.active ? "Active" : "Inactive";
  long long created = absl::ToUnixSeconds(key.created);
  sql_ << "INSERT OR REPLACE INTO access_keys (access_key_id, account_id, user, sealed_secret, status, "
          "created) "
          "VALUES (:i, :a, :u, :s, :t, :c)",
      soci::use(key.id), soci::use(user_.account), soci::use(user_.name), soci::use(key.sealed_secret),
      soci::use(status), soci::use(created);
}

bool AccessKeyStore::Delete(const std::string& id) {
  soci::statement statement =
      (sql_.prepare << "DELETE FROM access_keys WHERE access_key_id = :i AND account_id = :a AND user = :u",
       soci::use(id), soci::use(user_.account), soci::use(user_.name));
  statement.execute(true);
  return statement.get_affected_rows() > 0;
}

AccessKey NewAccessKey(const Vault& vault, absl::Time now) {
  AccessKey key;
  key.id = NewUniqueId("AKIA", vault.random());
  key.sealed_secret = vault.Seal(SecretLabel(key.id), NewSecretAccessKey(vault.random()).Expose());
  key.created = now;
  return key;
}

StatusOr<crypto::SecretBytes> OpenSecret(const Vault& vault, const AccessKey& key) {
  return vault.Open(SecretLabel(key.id), key.sealed_secret);
}

}  // namespace keyhold::localcloud::aws
