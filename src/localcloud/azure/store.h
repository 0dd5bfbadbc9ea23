// Applications, vaults, keys and role assignments: the part of the local cloud's state that its Azure
// services work on.
//
// Works inside the transaction whose session it is given; used by one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "localcloud/json.h"
#include "localcloud/vault.h"

namespace soci {
class session;
}

namespace keyhold::localcloud::azure {

// An application with its service principal in the one tenant.
struct App {
  std::string name, client_id, object_id;
  crypto::SecretBytes secret;
  std::string certificate_pem;  // empty: it has a secret alone
  bool owner = false;           // of the subscription
};

struct KeyVault {
  std::string name, group, location;
  bool rbac = false;  // role assignments decide, else access policies
  bool purge_protection = false;
  int retention_days = 90;
  std::string access_policies;  // JSON: [{"tenantId","objectId","permissions":{"keys":[...]}}]
  std::string tags = "{}";      // JSON
  absl::Time created;
  std::optional<absl::Time> deleted;
};

struct VaultKey {
  std::string vault, name;
  std::optional<absl::Time> deleted, purge;
  std::string rotation_policy;  // JSON; empty: none
};

struct KeyVersion {
  std::string vault, name, version;
  int ordinal = 0;  // 1 is the first
  std::string kty;  // "RSA", "RSA-HSM"
  int bits = 0;
  crypto::SecretBytes der;
  bool enabled = true;
  std::optional<absl::Time> not_before, expires;
  absl::Time created, updated;
  std::string operations;   // JSON: ["encrypt",...]
  std::string tags = "{}";  // JSON
};

struct RoleAssignment {
  std::string id, scope, role, principal_id;  // scope in lower case; role: the definition's GUID
};

class AzureStore {
 public:
  AzureStore(soci::session& sql, const Vault& hsm) : sql_(sql), hsm_(hsm) {}

  // Makes the tables where they are not there.
  static void MakeTables(soci::session& sql);

  // Values by name: "tenant_id", "subscription_id"; "" where there is none. Secret ones are sealed.
  std::string Setting(const std::string& name);
  void PutSetting(const std::string& name, const std::string& value);

  std::optional<App> FindApp(const std::string& client_id);
  std::optional<App> FindAppByName(const std::string& name);
  void PutApp(const App& app);

  std::optional<std::string> GroupLocation(const std::string& group);
  std::vector<std::pair<std::string, std::string>> Groups();
  void PutGroup(const std::string& group, const std::string& location);

  // Vaults that are deleted are found as well.
  std::optional<KeyVault> FindVault(const std::string& name);
  std::vector<KeyVault> ListVaults();
  void PutVault(const KeyVault& vault);
  // With its keys.
  void PurgeVault(const std::string& name);

  // Keys, deleted ones as well. Names are compared without case.
  std::optional<VaultKey> FindKey(const std::string& vault, const std::string& name);
  std::vector<VaultKey> ListKeys(const std::string& vault);
  void PutKey(const VaultKey& key);
  void PurgeKey(const VaultKey& key);

  // Oldest first. kCorrupt when sealed material does not open.
  StatusOr<std::vector<KeyVersion>> Versions(const VaultKey& key);
  void PutVersion(const KeyVersion& version);

  std::vector<RoleAssignment> Assignments();
  void PutAssignment(const RoleAssignment& assignment);
  bool DeleteAssignment(const std::string& id);

  const Vault& hsm() const { return hsm_; }

 private:
  soci::session& sql_;
  const Vault& hsm_;
};

}  // namespace keyhold::localcloud::azure
