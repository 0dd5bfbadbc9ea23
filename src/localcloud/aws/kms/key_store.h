// KMS keys, their material, aliases and tags: the part of the state that AWS KMS works on.
//
// Regions are apart: every call names one. Works inside the transaction whose session it is given; used by
// one thread at a time.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "localcloud/vault.h"

namespace soci {
class session;
}

namespace keyhold::localcloud::aws {

struct KmsKey {
  std::string region, account, key_id;
  std::string description, usage, spec, policy;
  std::string state;  // "Enabled", "Disabled", "PendingDeletion", as the API names them
  bool multi_region = false;
  absl::Time created;
  std::optional<absl::Time> deletion;       // the end of the deletion window
  int rotation_period = 0;                  // days; 0: automatic rotation is off
  std::optional<absl::Time> next_rotation;  // where it is on

  std::string Arn() const;
};

struct KeyMaterial {
  int version = 0;            // from 1
  std::string material_id;    // 64 hex digits
  std::string rotation_type;  // "AUTOMATIC", "ON_DEMAND"; "" for the first
  absl::Time created;
  crypto::SecretBytes key;  // 32 bytes
};

struct Alias {
  std::string name, key_id;  // the name with its "alias/"
  absl::Time created, updated;
};

class KeyStore {
 public:
  KeyStore(soci::session& sql, const Vault& vault) : sql_(sql), vault_(vault) {}

  // Keys. Put() inserts or replaces. Destroy() removes the key with its material, aliases and tags: after the
  // transaction nothing can decrypt under it.
  std::optional<KmsKey> Find(std::string_view region, std::string_view key_id);
  std::vector<KmsKey> List(std::string_view region, std::string_view account);
  void Put(const KmsKey& key);
  void Destroy(const KmsKey& key);
  // Keys whose deletion window or rotation period has ended by `now`, in any region.
  std::vector<KmsKey> Due(absl::Time now);

  // Material. The newest is current. kCorrupt when sealed material does not open.
  StatusOr<KeyMaterial> AddMaterial(const KmsKey& key, std::string_view rotation_type, absl::Time now);
  StatusOr<std::vector<KeyMaterial>> Materials(const KmsKey& key);

  // Aliases.
  std::optional<Alias> FindAlias(std::string_view region, std::string_view account, std::string_view name);
  std::vector<Alias> ListAliases(std::string_view region, std::string_view account);
  void PutAlias(std::string_view region, std::string_view account, const Alias& alias);
  void DeleteAlias(std::string_view region, std::string_view account, std::string_view name);

  // Tags.
  std::map<std::string, std::string> Tags(const KmsKey& key);
  void PutTag(const KmsKey& key, std::string_view name, std::string_view value);
  void DeleteTag(const KmsKey& key, std::string_view name);

 private:
  soci::session& sql_;
  const Vault& vault_;
};

}  // namespace keyhold::localcloud::aws
