#include "localcloud/aws/accounts.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/identity_store.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kCustomerUser[] = "admin";
constexpr char kPlatformUser[] = "keyhold";
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

StatusOr<User> UserOf(IdentityStore& identities, const Vault& vault, const char* name, const char* policy) {
  auto user = identities.FindUserByName(name);
  if (user.ok() || CauseOf(user.status()) != Cause::kNotFound) return user;
  std::string account = NewAccountId(vault.random());
  while (identities.HasAccount(account)) account = NewAccountId(vault.random());
  return identities.AddUser(account, name, policy);
}

}  // namespace

Status SetUpAccounts(Database& database, const Vault& vault, const Directory& directory,
                     nlohmann::json& customer, nlohmann::json& principals) {
  User admin, keyhold;
  KEYHOLD_RETURN_IF_ERROR(database.Transact([&](soci::session& sql) -> Status {
    IdentityStore identities(sql, vault);
    KEYHOLD_ASSIGN_OR_RETURN(admin, UserOf(identities, vault, kCustomerUser, kCustomerPolicy));
    KEYHOLD_ASSIGN_OR_RETURN(keyhold, UserOf(identities, vault, kPlatformUser, kPlatformPolicy));
    return OkStatus();
  }));
  customer["aws"] = {{"account_id", admin.account},
                     {"access_key_id", admin.access_key_id},
                     {"secret_access_key", std::string(admin.secret_access_key.ExposeText())},
                     {"user_arn", UserArn(admin.account, admin.name)},
                     {"region", kRegion}};
  principals["aws"] = {{"principal_arn", UserArn(keyhold.account, keyhold.name)}};
  KEYHOLD_RETURN_IF_ERROR(directory.MakeDirectory("platform"));
  return directory.Write(
      "platform/aws-credentials",
      absl::StrCat("[default]\naws_access_key_id = ", keyhold.access_key_id,
                   "\naws_secret_access_key = ", std::string(keyhold.secret_access_key.ExposeText()), "\n"),
      0600);
}

}  // namespace keyhold::localcloud::aws
