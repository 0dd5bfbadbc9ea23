// Projects, service accounts, key rings, keys and versions: the part of the local cloud's state that its
// Google services work on.
//
// Works inside the transaction whose session it is given; used by one thread at a time. Names are full
// resource names; a policy is IAM's JSON. Lists are in the order of names (versions: of numbers).
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

namespace keyhold::localcloud::gcp {

struct Project {
  std::string id, number, policy;
};

struct ServiceAccount {
  std::string email, project, unique_id, display_name, policy;
  bool disabled = false;
};

// A user-managed key of a service account. The private half is kept for the local cloud's own accounts alone.
struct AccountKey {
  std::string id, email, public_pem;
  crypto::SecretBytes private_pem;
  absl::Time created;
};

struct KeyRing {
  std::string name, policy;
  absl::Time created;
};

struct CryptoKey {
  std::string name, ring, purpose, algorithm, protection, policy;
  std::string labels = "{}";  // JSON
  int primary = 0;            // 0: none
  absl::Duration destroy_scheduled;
  std::optional<absl::Duration> rotation_period;
  std::optional<absl::Time> next_rotation;
  absl::Time created;
};

struct CryptoKeyVersion {
  std::string key;
  int number = 0;
  std::string state, algorithm, protection;
  crypto::SecretBytes material;  // 32 bytes; empty once destroyed
  absl::Time created;
  std::optional<absl::Time> destroy, destroyed;
  std::string Name() const;
};

class Store {
 public:
  Store(soci::session& sql, const Vault& vault) : sql_(sql), vault_(vault) {}

  std::optional<Project> FindProject(std::string_view id);
  void PutProject(const Project& project);

  std::optional<ServiceAccount> FindAccount(std::string_view email);
  std::vector<ServiceAccount> Accounts(std::string_view project);
  void PutAccount(const ServiceAccount& account);

  StatusOr<std::optional<AccountKey>> FindAccountKey(std::string_view id);
  // The first key whose private half is kept.
  StatusOr<std::optional<AccountKey>> OwnKeyOf(std::string_view email);
  void PutAccountKey(const AccountKey& key);

  std::optional<KeyRing> FindRing(std::string_view name);
  std::vector<KeyRing> Rings(std::string_view location_name);
  void PutRing(const KeyRing& ring);

  std::optional<CryptoKey> FindKey(std::string_view name);
  std::vector<CryptoKey> Keys(std::string_view ring_name);
  std::vector<CryptoKey> KeysToRotate(absl::Time now);
  void PutKey(const CryptoKey& key);

  // kCorrupt where the material of one does not open.
  StatusOr<std::optional<CryptoKeyVersion>> FindVersion(std::string_view key, int number);
  StatusOr<std::vector<CryptoKeyVersion>> Versions(std::string_view key);
  void PutVersion(const CryptoKeyVersion& version);
  // Wipes the material of versions whose time has come.
  void DestroyDue(absl::Time now);

 private:
  soci::session& sql_;
  const Vault& vault_;
};

}  // namespace keyhold::localcloud::gcp
