#include "localcloud/gcp/store.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::gcp {
namespace {

using soci::use;

constexpr char kKeyColumns[] =
    "name, ring, purpose, algorithm, protection, primary_version, destroy_scheduled, rotation_period, "
    "next_rotation, labels, created, policy";
constexpr char kVersionColumns[] =
    "key_name, number, state, algorithm, protection, sealed, created, destroy, destroyed";

long long Micros(absl::Time time) { return absl::ToUnixMicros(time); }
long long Micros(const std::optional<absl::Time>& time) { return time ? absl::ToUnixMicros(*time) : 0; }
absl::Time TimeOf(long long micros) { return absl::FromUnixMicros(micros); }
std::optional<absl::Time> OptionalTime(long long micros) {
  return micros == 0 ? std::nullopt : std::optional(TimeOf(micros));
}

std::string AccountKeyLabel(const std::string& id) {
  return absl::StrCat("keyhold localcloud gcp account key|", id);
}
std::string MaterialLabel(const std::string& key, int number) {
  return absl::StrCat("keyhold localcloud gcp key material|", key, "|", number);
}

std::string SealOrEmpty(const Vault& vault, const std::string& label, const crypto::SecretBytes& secret) {
  return secret.empty() ? std::string() : vault.Seal(label, secret.Expose());
}
StatusOr<crypto::SecretBytes> OpenOrEmpty(const Vault& vault, const std::string& label,
                                          const std::string& sealed) {
  return sealed.empty() ? StatusOr<crypto::SecretBytes>(crypto::SecretBytes()) : vault.Open(label, sealed);
}

ServiceAccount AccountFrom(const soci::row& row) {
  return {row.get<std::string>(0), row.get<std::string>(1), row.get<std::string>(2),
          row.get<std::string>(3), row.get<std::string>(4), row.get<int>(5) != 0};
}

CryptoKey KeyFrom(const soci::row& row) {
  CryptoKey key;
  key.name = row.get<std::string>(0);
  key.ring = row.get<std::string>(1);
  key.purpose = row.get<std::string>(2);
  key.algorithm = row.get<std::string>(3);
  key.protection = row.get<std::string>(4);
  key.primary = row.get<int>(5);
  key.destroy_scheduled = absl::Seconds(row.get<long long>(6));
  if (row.get<long long>(7) != 0) key.rotation_period = absl::Seconds(row.get<long long>(7));
  key.next_rotation = OptionalTime(row.get<long long>(8));
  key.labels = row.get<std::string>(9);
  key.created = TimeOf(row.get<long long>(10));
  key.policy = row.get<std::string>(11);
  return key;
}

std::vector<CryptoKey> KeysFrom(const soci::rowset<soci::row>& rows) {
  std::vector<CryptoKey> keys;
  for (const soci::row& row : rows) keys.push_back(KeyFrom(row));
  return keys;
}

StatusOr<CryptoKeyVersion> VersionFrom(const soci::row& row, const Vault& vault) {
  CryptoKeyVersion version;
  version.key = row.get<std::string>(0);
  version.number = row.get<int>(1);
  version.state = row.get<std::string>(2);
  version.algorithm = row.get<std::string>(3);
  version.protection = row.get<std::string>(4);
  KEYHOLD_ASSIGN_OR_RETURN(version.material, OpenOrEmpty(vault, MaterialLabel(version.key, version.number),
                                                         row.get<std::string>(5)));
  version.created = TimeOf(row.get<long long>(6));
  version.destroy = OptionalTime(row.get<long long>(7));
  version.destroyed = OptionalTime(row.get<long long>(8));
  return version;
}

StatusOr<std::optional<AccountKey>> OneAccountKey(const soci::rowset<soci::row>& rows, const Vault& vault) {
  for (const soci::row& row : rows) {
    AccountKey key{row.get<std::string>(0),
                   row.get<std::string>(1),
                   row.get<std::string>(2),
                   {},
                   TimeOf(row.get<long long>(4))};
    KEYHOLD_ASSIGN_OR_RETURN(key.private_pem,
                             OpenOrEmpty(vault, AccountKeyLabel(key.id), row.get<std::string>(3)));
    return std::optional(std::move(key));
  }
  return std::optional<AccountKey>();
}

// A prepared SELECT of a few rows.
template <typename... Uses>
soci::rowset<soci::row> Rows(soci::session& sql, const std::string& query, const Uses&... uses) {
  return ((sql.prepare << query), ..., use(uses));
}

}  // namespace

std::string CryptoKeyVersion::Name() const { return absl::StrCat(key, "/cryptoKeyVersions/", number); }

std::optional<Project> Store::FindProject(std::string_view id) {
  const std::string wanted(id);
  for (const soci::row& row :
       Rows(sql_, "SELECT id, number, policy FROM gcp_projects WHERE id = :i", wanted)) {
    return Project{row.get<std::string>(0), row.get<std::string>(1), row.get<std::string>(2)};
  }
  return std::nullopt;
}

void Store::PutProject(const Project& p) {
  sql_ << "INSERT OR REPLACE INTO gcp_projects (id, number, policy) VALUES (:i, :n, :p)", use(p.id),
      use(p.number), use(p.policy);
}

std::optional<ServiceAccount> Store::FindAccount(std::string_view email) {
  const std::string wanted(email);
  for (const soci::row& row : Rows(sql_,
                                   "SELECT email, project, unique_id, display_name, policy, disabled FROM "
                                   "gcp_accounts WHERE email = :e",
                                   wanted)) {
    return AccountFrom(row);
  }
  return std::nullopt;
}

std::vector<ServiceAccount> Store::Accounts(std::string_view project) {
  const std::string wanted(project);
  std::vector<ServiceAccount> accounts;
  for (const soci::row& row : Rows(sql_,
                                   "SELECT email, project, unique_id, display_name, policy, disabled FROM "
                                   "gcp_accounts WHERE project = :p ORDER BY email",
                                   wanted)) {
    accounts.push_back(AccountFrom(row));
  }
  return accounts;
}

void Store::PutAccount(const ServiceAccount& a) {
  const int disabled = a.disabled ? 1 : 0;
  sql_ << "INSERT OR REPLACE INTO gcp_accounts (email, project, unique_id, display_name, policy, disabled) "
          "VALUES (:e, :p, :u, :d, :o, :x)",
      use(a.email), use(a.project), use(a.unique_id), use(a.display_name), use(a.policy), use(disabled);
}

StatusOr<std::optional<AccountKey>> Store::FindAccountKey(std::string_view id) {
  const std::string wanted(id);
  return OneAccountKey(
      Rows(sql_, "SELECT id, email, public_pem, sealed, created FROM gcp_account_keys WHERE id = :i", wanted),
      vault_);
}

StatusOr<std::optional<AccountKey>> Store::OwnKeyOf(std::string_view email) {
  const std::string wanted(email);
  return OneAccountKey(
      Rows(sql_,
           "SELECT id, email, public_pem, sealed, created FROM gcp_account_keys WHERE email = "
           ":e AND sealed <> '' ORDER BY created",
           wanted),
      vault_);
}

void Store::PutAccountKey(const AccountKey& k) {
  const std::string sealed = SealOrEmpty(vault_, AccountKeyLabel(k.id), k.private_pem);
  const long long created = Micros(k.created);
  sql_ << "INSERT OR REPLACE INTO gcp_account_keys (id, email, public_pem, sealed, created) VALUES (:i, :e, "
          ":p, :s, :c)",
      use(k.id), use(k.email), use(k.public_pem), use(sealed), use(created);
}

std::optional<KeyRing> Store::FindRing(std::string_view name) {
  const std::string wanted(name);
  for (const soci::row& row :
       Rows(sql_, "SELECT name, policy, created FROM gcp_key_rings WHERE name = :n", wanted)) {
    return KeyRing{row.get<std::string>(0), row.get<std::string>(1), TimeOf(row.get<long long>(2))};
  }
  return std::nullopt;
}

std::vector<KeyRing> Store::Rings(std::string_view location_name) {
  const std::string location(location_name);
  std::vector<KeyRing> rings;
  for (const soci::row& row :
       Rows(sql_, "SELECT name, policy, created FROM gcp_key_rings WHERE location = :l ORDER BY name",
            location)) {
    rings.push_back({row.get<std::string>(0), row.get<std::string>(1), TimeOf(row.get<long long>(2))});
  }
  return rings;
}

void Store::PutRing(const KeyRing& ring) {
  const std::string location = ring.name.substr(0, ring.name.find("/keyRings/"));
  const long long created = Micros(ring.created);
  sql_ << "INSERT OR REPLACE INTO gcp_key_rings (name, location, policy, created) VALUES (:n, :l, :p, :c)",
      use(ring.name), use(location), use(ring.policy), use(created);
}

std::optional<CryptoKey> Store::FindKey(std::string_view name) {
  const std::string wanted(name);
  auto keys =
      KeysFrom(Rows(sql_, absl::StrCat("SELECT ", kKeyColumns, " FROM gcp_keys WHERE name = :n"), wanted));
  return keys.empty() ? std::nullopt : std::optional(std::move(keys.front()));
}

std::vector<CryptoKey> Store::Keys(std::string_view ring_name) {
  const std::string ring(ring_name);
  return KeysFrom(
      Rows(sql_, absl::StrCat("SELECT ", kKeyColumns, " FROM gcp_keys WHERE ring = :r ORDER BY name"), ring));
}

std::vector<CryptoKey> Store::KeysToRotate(absl::Time now) {
  const long long micros = Micros(now);
  return KeysFrom(Rows(
      sql_,
      absl::StrCat("SELECT ", kKeyColumns, " FROM gcp_keys WHERE next_rotation <> 0 AND next_rotation <= :t"),
      micros));
}

void Store::PutKey(const CryptoKey& k) {
  const long long destroy = absl::ToInt64Seconds(k.destroy_scheduled);
  const long long period = k.rotation_period ? absl::ToInt64Seconds(*k.rotation_period) : 0;
  const long long next = Micros(k.next_rotation);
  const long long created = Micros(k.created);
  sql_ << "INSERT OR REPLACE INTO gcp_keys (" << kKeyColumns
       << ") VALUES (:n, :r, :p, :a, :l, :v, :d, :o, :x, :b, :c, :y)",
      use(k.name), use(k.ring), use(k.purpose), use(k.algorithm), use(k.protection), use(k.primary),
      use(destroy), use(period), use(next), use(k.labels), use(created), use(k.policy);
}

StatusOr<std::optional<CryptoKeyVersion>> Store::FindVersion(std::string_view key, int number) {
  const std::string name(key);
  for (const soci::row& row : Rows(
           sql_,
           absl::StrCat("SELECT ", kVersionColumns, " FROM gcp_versions WHERE key_name = :k AND number = :n"),
           name, number)) {
    KEYHOLD_ASSIGN_OR_RETURN(CryptoKeyVersion version, VersionFrom(row, vault_));
    return std::optional(std::move(version));
  }
  return std::optional<CryptoKeyVersion>();
}

StatusOr<std::vector<CryptoKeyVersion>> Store::Versions(std::string_view key) {
  const std::string name(key);
  std::vector<CryptoKeyVersion> versions;
  for (const soci::row& row : Rows(
           sql_,
           absl::StrCat("SELECT ", kVersionColumns, " FROM gcp_versions WHERE key_name = :k ORDER BY number"),
           name)) {
    KEYHOLD_ASSIGN_OR_RETURN(CryptoKeyVersion version, VersionFrom(row, vault_));
    versions.push_back(std::move(version));
  }
  return versions;
}

void Store::PutVersion(const CryptoKeyVersion& v) {
  const std::string sealed = SealOrEmpty(vault_, MaterialLabel(v.key, v.number), v.material);
  const long long created = Micros(v.created), destroy = Micros(v.destroy), destroyed = Micros(v.destroyed);
  sql_ << "INSERT OR REPLACE INTO gcp_versions (" << kVersionColumns
       << ") VALUES (:k, :n, :s, :a, :p, :m, :c, :d, :x)",
      use(v.key), use(v.number), use(v.state), use(v.algorithm), use(v.protection), use(sealed), use(created),
      use(destroy), use(destroyed);
}

void Store::DestroyDue(absl::Time now) {
  const long long micros = Micros(now);
  sql_ << "UPDATE gcp_versions SET state = 'DESTROYED', sealed = '', destroyed = destroy, destroy = 0 WHERE "
          "state = 'DESTROY_SCHEDULED' AND destroy <= :t",
      use(micros);
}

}  // namespace keyhold::localcloud::gcp
