#include "localcloud/azure/accounts.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "localcloud/azure/rsa.h"
#include "localcloud/azure/store.h"
#include "localcloud/azure/token.h"
#include "localcloud/azure/vaults.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr char kCustomer[] = "customer";
constexpr char kPlatform[] = "keyhold";
constexpr char kGroup[] = "keyhold";
constexpr char kLocation[] = "eastus";
constexpr char kPlatformFile[] = "platform/azure-client.pem";

struct Accounts {
  std::string tenant, subscription, vault;
  App customer, platform;
};

void MakeSetting(AzureStore& store, const std::string& name, const std::string& value) {
  if (store.Setting(name).empty()) store.PutSetting(name, value);
}

App NewApp(AzureStore& store, const char* name) {
  App app;
  app.name = name;
  app.client_id = crypto::NewUuid(store.hsm().random());
  app.object_id = crypto::NewUuid(store.hsm().random());
  return app;
}

App CustomerApp(AzureStore& store) {
  if (auto found = store.FindAppByName(kCustomer)) return *std::move(found);
  App app = NewApp(store, kCustomer);
  app.owner = true;
  // Begins with a letter: `az login -p` would take a "-" for an option.
  const std::string text = "k" + Base64Url(store.hsm().random().Secret(30).Expose());
  app.secret = crypto::SecretBytes::CopyOf(crypto::AsBytes(text));
  store.PutApp(app);
  return app;
}

// Its certificate's key is kept in the platform's file alone: no secret of it goes through an environment.
StatusOr<App> PlatformApp(AzureStore& store, const Directory& directory) {
  auto found = store.FindAppByName(kPlatform);
  const bool has_file = directory.Read(kPlatformFile).ok();
  if (found && has_file) return *std::move(found);
  App app = found ? *std::move(found) : NewApp(store, kPlatform);
  KEYHOLD_ASSIGN_OR_RETURN(const MadeCertificate made, MakeCertificate("keyhold"));
  KEYHOLD_RETURN_IF_ERROR(directory.MakeDirectory("platform"));
  KEYHOLD_RETURN_IF_ERROR(directory.Write(kPlatformFile, made.pem.ExposeText(), 0600));
  app.certificate_pem = made.certificate_pem;
  store.PutApp(app);
  return app;
}

void MakeVault(AzureStore& store, const App& customer, const std::string& tenant, absl::Time now) {
  if (!store.Setting("vault").empty()) return;
  uint8_t bytes[4];
  store.hsm().random().Fill(bytes);
  KeyVault vault;
  vault.name = "keyhold-" + crypto::Hex(bytes);
  vault.group = kGroup;
  vault.location = kLocation;
  vault.created = now;
  vault.access_policies = Json::array({{{"tenantId", tenant},
                                        {"objectId", customer.object_id},
                                        {"permissions", {{"keys", AllKeyPermissions()}}}}})
                              .dump();
  store.PutGroup(kGroup, kLocation);
  store.PutVault(vault);
  store.PutSetting("vault", vault.name);
}

StatusOr<Accounts> Make(soci::session& sql, const Vault& hsm, const Directory& directory, absl::Time now) {
  AzureStore::MakeTables(sql);
  AzureStore store(sql, hsm);
  MakeSetting(store, "tenant_id", crypto::NewUuid(hsm.random()));
  MakeSetting(store, "subscription_id", crypto::NewUuid(hsm.random()));
  KEYHOLD_RETURN_IF_ERROR(MakeSigningKey(store));
  Accounts accounts;
  accounts.tenant = store.Setting("tenant_id");
  accounts.subscription = store.Setting("subscription_id");
  accounts.customer = CustomerApp(store);
  KEYHOLD_ASSIGN_OR_RETURN(accounts.platform, PlatformApp(store, directory));
  MakeVault(store, accounts.customer, accounts.tenant, now);
  accounts.vault = store.Setting("vault");
  return accounts;
}

}  // namespace

Status SetUpAccounts(Database& database, const Vault& hsm, const Directory& directory, absl::Time now,
                     nlohmann::json& customer, nlohmann::json& principals) {
  Accounts accounts;
  KEYHOLD_RETURN_IF_ERROR(database.Transact([&](soci::session& sql) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(accounts, Make(sql, hsm, directory, now));
    return OkStatus();
  }));
  customer["azure"] = {{"tenant_id", accounts.tenant},
                       {"client_id", accounts.customer.client_id},
                       {"client_secret", std::string(accounts.customer.secret.ExposeText())},
                       {"subscription_id", accounts.subscription},
                       {"resource_group", kGroup},
                       {"vault", accounts.vault},
                       {"location", kLocation}};
  principals["azure"] = {{"principal_id", accounts.platform.object_id},
                         {"client_id", accounts.platform.client_id},
                         {"tenant_id", accounts.tenant}};
  return OkStatus();
}

}  // namespace keyhold::localcloud::azure
