#include "localcloud/aws/identity_store.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/user_store.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::aws {
namespace {

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

StatusOr<Credentials> IdentityStore::FindAccessKey(std::string_view access_key_id) {
  AccessKey key;
  key.id = access_key_id;
  std::string account, name, path, user_id;
  sql_
      << "SELECT u.account_id, u.name, u.path, u.user_id, k.sealed_secret FROM access_keys k JOIN users u ON "
         "u.account_id = k.account_id AND u.name = k.user WHERE k.access_key_id = :k AND k.status = 'Active'",
      soci::use(key.id), soci::into(account), soci::into(name), soci::into(path), soci::into(user_id),
      soci::into(key.sealed_secret);
  if (!sql_.got_data()) {
    return AwsError("UnrecognizedClientException", "The security token included in the request is invalid.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes secret, OpenSecret(vault_, key));
  Principal principal{account, UserArn(account, path, name), "", user_id,
                      PoliciesOf(PolicyHolder::kUser, account, name)};
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

std::vector<std::string> IdentityStore::PoliciesOf(PolicyHolder kind, std::string_view account,
                                                   std::string_view holder) {
  std::vector<std::string> documents;
  for (auto& [name, document] : InlinePolicies(sql_, kind, account, holder).List())
    documents.push_back(std::move(document));
  return documents;
}

std::string IdentityStore::AccountOf(std::string_view owner) {
  std::string o(owner), account;
  sql_ << "SELECT account_id FROM accounts WHERE owner = :o", soci::use(o), soci::into(account);
  return sql_.got_data() ? account : "";
}

void IdentityStore::AddAccount(std::string_view account, std::string_view owner) {
  std::string a(account), o(owner);
  sql_ << "INSERT INTO accounts (account_id, owner) VALUES (:a, :o)", soci::use(a), soci::use(o);
}

bool IdentityStore::HasAccount(std::string_view account) {
  std::string a(account);
  int accounts = 0;
  sql_ << "SELECT count(*) FROM accounts WHERE account_id = :a", soci::use(a), soci::into(accounts);
  return accounts > 0;
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
  auto user = UserStore(sql_).Find(arn->account, parts.back());
  return user.ok() && UserArn(user->account, user->path, user->name) == text;
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
