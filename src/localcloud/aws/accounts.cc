#include "localcloud/aws/accounts.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/identity_store.h"
#include "localcloud/aws/user_store.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kCustomerUser[] = "admin";
constexpr char kPlatformUser[] = "keyhold";
constexpr char kPolicyName[] = "default";
constexpr char kRegion[] = "us-east-1";

constexpr char kCustomerPolicy[] =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})";
// May use keys and assume roles anywhere; whether it can is up to each key's and role's own policy.
constexpr char kPlatformPolicy[] =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:*","sts:AssumeRole"],"Resource":"*"}]})";

std::string NewAccountId(crypto::Random& random) {
  uint8_t bytes[12];
  random.Fill(bytes);
  std::string id;
  for (uint8_t byte : bytes) id.push_back(static_cast<char>('0' + byte % 10));
  if (id[0] == '0') id[0] = '1';
  return id;
}

// An account's owner as its file names it.
struct Owner {
  User user;
  AccessKey key;
  crypto::SecretBytes secret;
};

std::string AccountOf(IdentityStore& identities, const char* owner, crypto::Random& random) {
  std::string account = identities.AccountOf(owner);
  if (!account.empty()) return account;
  do account = NewAccountId(random);
  while (identities.HasAccount(account));
  identities.AddAccount(account, owner);
  return account;
}

AccessKey ActiveKey(AccessKeyStore keys, const Vault& vault, absl::Time now) {
  std::optional<AccessKey> oldest;
  for (AccessKey& key : keys.List())
    if (key.active && (!oldest || key.created < oldest->created)) oldest = std::move(key);
  if (oldest) return *std::move(oldest);
  AccessKey key = NewAccessKey(vault, now);
  keys.Put(key);
  return key;
}

StatusOr<Owner> OwnerOf(soci::session& sql, const Vault& vault, absl::Time now, const char* name,
                        const char* policy) {
  IdentityStore identities(sql, vault);
  UserStore users(sql);
  Owner owner;
  owner.user = {AccountOf(identities, name, vault.random()), name, "/", "", now};
  auto found = users.Find(owner.user.account, name);
  if (found.ok()) {
    owner.user = *found;
  } else {
    owner.user.user_id = NewUniqueId("AIDA", vault.random());
    users.Add(owner.user);
  }
  InlinePolicies(sql, PolicyHolder::kUser, owner.user.account, name).Put(kPolicyName, policy);
  owner.key = ActiveKey(AccessKeyStore(sql, owner.user), vault, now);
  KEYHOLD_ASSIGN_OR_RETURN(owner.secret, OpenSecret(vault, owner.key));
  return owner;
}

}  // namespace

Status SetUpAccounts(Database& database, const Vault& vault, const Directory& directory, absl::Time now,
                     nlohmann::json& customer, nlohmann::json& principals) {
  Owner admin, keyhold;
  KEYHOLD_RETURN_IF_ERROR(database.Transact([&](soci::session& sql) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(admin, OwnerOf(sql, vault, now, kCustomerUser, kCustomerPolicy));
    KEYHOLD_ASSIGN_OR_RETURN(keyhold, OwnerOf(sql, vault, now, kPlatformUser, kPlatformPolicy));
    return OkStatus();
  }));
  customer["aws"] = {{"account_id", admin.user.account},
                     {"access_key_id", admin.key.id},
                     {"secret_access_key", std::string(admin.secret.ExposeText())},
                     {"user_arn", UserArn(admin.user.account, admin.user.path, admin.user.name)},
                     {"region", kRegion}};
  principals["aws"] = {
      {"principal_arn", UserArn(keyhold.user.account, keyhold.user.path, keyhold.user.name)}};
  KEYHOLD_RETURN_IF_ERROR(directory.MakeDirectory("platform"));
  return directory.Write(
      "platform/aws-credentials",
      absl::StrCat("[default]\naws_access_key_id = ", keyhold.key.id,
                   "\naws_secret_access_key = ", std::string(keyhold.secret.ExposeText()), "\n"),
      0600);
}

}  // namespace keyhold::localcloud::aws
