#include "localcloud/aws/identity_store.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::aws {
namespace {

std::string SecretLabel(const std::string& access_key_id) {
  return "keyhold localcloud aws secret access key|" + access_key_id;
}

constexpr char kRoleColumns[] =
    "account_id, name, path, role_id, trust_policy, description, max_session, created";

Role RoleFrom(const soci::row& row) {
  Role role;
  role.account = row.get<std::string>(0);
  role.name = row.get<std::string>(1);
  role.path = row.get<std::string>(2);
  role.role_id = row.get<std::string>(3);
  role.trust_policy = row.get<std::string>(4);
  role.description = row.get<std::string>(5);
  role.max_session_seconds = row.get<int>(6);
  role.created = absl::FromUnixSeconds(row.get<long long>(7));
  return role;
}

}  // namespace

StatusOr<User> IdentityStore::AddUser(std::string_view account, std::string_view name,
                                      std::string_view policy) {
  User user;
  user.account = account;
  user.name = name;
  user.policy = policy;
  user.user_id = NewUniqueId("AIDA", vault_.random());
  user.access_key_id = NewUniqueId("AKIA", vault_.random());
  user.secret_access_key = NewSecretAccessKey(vault_.random());
  std::string sealed = vault_.Seal(SecretLabel(user.access_key_id), user.secret_access_key.Expose());
  sql_ << "INSERT INTO users (account_id, name, user_id, access_key_id, sealed_secret, policy) "
          "VALUES (:a, :n, :u, :k, :s, :p)",
      soci::use(user.account), soci::use(user.name), soci::use(user.user_id), soci::use(user.access_key_id),
      soci::use(sealed), soci::use(user.policy);
  return user;
}

StatusOr<User> IdentityStore::FindUserByName(std::string_view name) {
  User user;
  user.name = name;
  std::string sealed;
  sql_ << "SELECT account_id, user_id, access_key_id, sealed_secret, policy FROM users WHERE name = :n",
      soci::use(user.name), soci::into(user.account), soci::into(user.user_id),
      soci::into(user.access_key_id), soci::into(sealed), soci::into(user.policy);
  if (!sql_.got_data()) return Error(Cause::kNotFound, "there is no user " + user.name);
  KEYHOLD_ASSIGN_OR_RETURN(user.secret_access_key, vault_.Open(SecretLabel(user.access_key_id), sealed));
  return user;
}

StatusOr<Credentials> IdentityStore::FindAccessKey(std::string_view access_key_id) {
  std::string key(access_key_id), account, name, user_id, sealed, policy;
  sql_ << "SELECT account_id, name, user_id, sealed_secret, policy FROM users WHERE access_key_id = :k",
      soci::use(key), soci::into(account), soci::into(name), soci::into(user_id), soci::into(sealed),
      soci::into(policy);
  if (!sql_.got_data()) {
    return AwsError("UnrecognizedClientException", "The security token included in the request is invalid.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes secret, vault_.Open(SecretLabel(key), sealed));
  Principal principal{account, UserArn(account, name), "", user_id, {policy}};
  return Credentials{std::move(principal), std::move(secret)};
}

StatusOr<Role> IdentityStore::FindRole(std::string_view account, std::string_view name) {
  std::string a(account), n(name);
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT " << kRoleColumns << " FROM roles WHERE account_id = :a AND name = :n",
       soci::use(a), soci::use(n));
  for (const soci::row& row : rows) return RoleFrom(row);
  return AwsError("NoSuchEntity", absl::StrCat("The role with name ", n, " cannot be found."));
}

std::vector<Role> IdentityStore::ListRoles(std::string_view account) {
  std::string a(account);
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT " << kRoleColumns << " FROM roles WHERE account_id = :a ORDER BY name",
       soci::use(a));
  std::vector<Role> roles;
  for (const soci::row& row : rows) roles.push_back(RoleFrom(row));
  return roles;
}

void IdentityStore::PutRole(const Role& role) {
  long long created = absl::ToUnixSeconds(role.created);
  sql_ << "INSERT OR REPLACE INTO roles (" << kRoleColumns << ") VALUES (:a, :n, :p, :i, :t, :d, :m, :c)",
      soci::use(role.account), soci::use(role.name), soci::use(role.path), soci::use(role.role_id),
      soci::use(role.trust_policy), soci::use(role.description), soci::use(role.max_session_seconds),
      soci::use(created);
}

void IdentityStore::DeleteRole(std::string_view account, std::string_view name) {
  std::string a(account), n(name);
  sql_ << "DELETE FROM roles WHERE account_id = :a AND name = :n", soci::use(a), soci::use(n);
}

std::vector<std::pair<std::string, std::string>> IdentityStore::RolePolicies(std::string_view account,
                                                                             std::string_view role) {
  std::string a(account), r(role);
  soci::rowset<soci::row> rows =
      (sql_.prepare
           << "SELECT name, document FROM role_policies WHERE account_id = :a AND role = :r ORDER BY name",
       soci::use(a), soci::use(r));
  std::vector<std::pair<std::string, std::string>> policies;
  for (const soci::row& row : rows) policies.emplace_back(row.get<std::string>(0), row.get<std::string>(1));
  return policies;
}

void IdentityStore::PutRolePolicy(std::string_view account, std::string_view role, std::string_view name,
                                  std::string_view document) {
  std::string a(account), r(role), n(name), d(document);
  sql_ << "INSERT OR REPLACE INTO role_policies (account_id, role, name, document) VALUES (:a, :r, :n, :d)",
      soci::use(a), soci::use(r), soci::use(n), soci::use(d);
}

bool IdentityStore::DeleteRolePolicy(std::string_view account, std::string_view role, std::string_view name) {
  std::string a(account), r(role), n(name);
  soci::statement statement =
      (sql_.prepare << "DELETE FROM role_policies WHERE account_id = :a AND role = :r "
                       "AND name = :n",
       soci::use(a), soci::use(r), soci::use(n));
  statement.execute(true);
  return statement.get_affected_rows() > 0;
}

bool IdentityStore::HasAccount(std::string_view account) {
  std::string a(account);
  int users = 0;
  sql_ << "SELECT count(*) FROM users WHERE account_id = :a", soci::use(a), soci::into(users);
  return users > 0;
}

bool IdentityStore::PrincipalExists(std::string_view text) {
  auto arn = ParseArn(text);
  if (!arn.ok()) return false;
  if (!HasAccount(arn->account) || arn->resource == "root") return true;
  std::vector<std::string> parts = absl::StrSplit(arn->resource, '/');
  if (parts[0] == "assumed-role") return FindRole(arn->account, parts[1]).ok();
  if (parts[0] == "role") {
    auto role = FindRole(arn->account, parts.back());
    return role.ok() && RoleArn(role->account, role->path, role->name) == text;
  }
  auto user = FindUserByName(parts.back());
  return user.ok() && UserArn(user->account, user->name) == text;
}

std::string NewUniqueId(std::string_view prefix, crypto::Random& random) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  uint8_t bytes[16];
  random.Fill(bytes);
  std::string id(prefix);
  for (uint8_t byte : bytes) id.push_back(kAlphabet[byte & 31]);
  return id;
}

crypto::SecretBytes NewSecretAccessKey(crypto::Random& random) {
  crypto::SecretBytes raw = random.Secret(30);
  std::string text = absl::Base64Escape(absl::string_view(raw.ExposeText().data(), raw.size()));
  crypto::SecretBytes secret = crypto::SecretBytes::CopyOf(crypto::AsBytes(text));
  crypto::Wipe({reinterpret_cast<uint8_t*>(text.data()), text.size()});
  return secret;
}

}  // namespace keyhold::localcloud::aws
