#include "localcloud/gcp/accounts.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "localcloud/gcp/iam.h"
#include "localcloud/gcp/policy.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::gcp {
namespace {

// gcloud's token file has no way to be renewed: its token lives as long as a trial may.
constexpr absl::Duration kFileTokenLife = absl::Hours(24 * 3650);

std::string Digits(crypto::Random& random, size_t count) {
  std::string digits(count, '\0');
  random.Fill({reinterpret_cast<uint8_t*>(digits.data()), digits.size()});
  for (char& digit : digits) digit = static_cast<char>('0' + static_cast<uint8_t>(digit) % 10);
  digits[0] = '1';
  return digits;
}

struct Holder {
  ServiceAccount account;
  AccountKey key;
};

// The account that marks itself by its unique id in the table of projects: one project each.
StatusOr<Holder> HolderOf(Store& store, const Vault& vault, const std::string& prefix,
                          const std::string& name, const char* role, absl::Time now, soci::session& sql) {
  std::string id;
  soci::indicator found = soci::i_null;
  const std::string pattern = prefix + "-%";
  sql << "SELECT min(id) FROM gcp_projects WHERE id LIKE :p", soci::into(id, found), soci::use(pattern);
  if (found != soci::i_ok) {
    id = absl::StrCat(prefix, "-", Digits(vault.random(), 6));
    const ServiceAccount made = AddAccount(store, vault, id, name, "");
    KEYHOLD_RETURN_IF_ERROR(AddAccountKey(store, vault, made.email, true, now).status());
    Json policy = EmptyPolicy();
    policy["bindings"].push_back({{"role", role}, {"members", {"serviceAccount:" + made.email}}});
    store.PutProject({id, Digits(vault.random(), 12), policy.dump()});
  }
  const auto account = store.FindAccount(absl::StrCat(name, "@", id, ".iam.gserviceaccount.com"));
  if (!account) return Error(Cause::kCorrupt, absl::StrCat("the project ", id, " has no account ", name));
  KEYHOLD_ASSIGN_OR_RETURN(auto key, store.OwnKeyOf(account->email));
  if (!key) return Error(Cause::kCorrupt, absl::StrCat("the account ", account->email, " has no key"));
  return Holder{*account, *std::move(key)};
}

Status WriteFiles(const Directory& directory, const Holder& admin, const Holder& keyhold,
                  const std::string& token) {
  KEYHOLD_RETURN_IF_ERROR(directory.MakeDirectory("customer"));
  KEYHOLD_RETURN_IF_ERROR(directory.MakeDirectory("platform"));
  KEYHOLD_RETURN_IF_ERROR(
      directory.Write("customer/gcp-key.json", KeyFile(admin.account, admin.key).dump(2) + "\n", 0600));
  KEYHOLD_RETURN_IF_ERROR(directory.Write("customer/gcp-access-token", token, 0600));
  return directory.Write("platform/gcp-key.json", KeyFile(keyhold.account, keyhold.key).dump(2) + "\n", 0600);
}

}  // namespace

Status SetUpAccounts(Database& database, const Vault& vault, const Directory& directory, absl::Time now,
                     nlohmann::json& customer, nlohmann::json& principals) {
  Holder admin, keyhold;
  KEYHOLD_RETURN_IF_ERROR(database.Transact([&](soci::session& sql) -> Status {
    Store store(sql, vault);
    KEYHOLD_ASSIGN_OR_RETURN(admin,
                             HolderOf(store, vault, "customer", "admin-account", "roles/owner", now, sql));
    KEYHOLD_ASSIGN_OR_RETURN(keyhold, HolderOf(store, vault, "keyhold", "keyhold", "roles/viewer", now, sql));
    return OkStatus();
  }));
  const std::string token = MakeToken(
      vault, {admin.account.email, {"https://www.googleapis.com/auth/cloud-platform"}, now + kFileTokenLife});
  customer["gcp"] = {{"project", admin.account.project},
                     {"service_account", admin.account.email},
                     {"key_file", directory.File("customer/gcp-key.json")},
                     {"access_token_file", directory.File("customer/gcp-access-token")}};
  principals["gcp"] = {{"service_account", keyhold.account.email}};
  return WriteFiles(directory, admin, keyhold, token);
}

}  // namespace keyhold::localcloud::gcp
