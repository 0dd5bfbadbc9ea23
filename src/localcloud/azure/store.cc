#include "localcloud/azure/store.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr const char* kSchema[] = {
    "CREATE TABLE IF NOT EXISTS azure_settings (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS azure_apps (client_id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, "
    "object_id TEXT NOT NULL, sealed_secret TEXT NOT NULL, certificate TEXT NOT NULL, owner INTEGER NOT "
    "NULL)",
    "CREATE TABLE IF NOT EXISTS azure_groups (name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, location TEXT "
    "NOT "
    "NULL)",
    "CREATE TABLE IF NOT EXISTS azure_vaults (name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, resource_group "
    "TEXT "
    "NOT NULL, location TEXT NOT NULL, rbac INTEGER NOT NULL, purge_protection INTEGER NOT NULL, retention "
    "INTEGER NOT NULL, access_policies TEXT NOT NULL, tags TEXT NOT NULL, created BIGINT NOT NULL, deleted "
    "BIGINT "
    "NOT NULL)",
    "CREATE TABLE IF NOT EXISTS azure_keys (vault TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL COLLATE "
    "NOCASE, deleted BIGINT NOT NULL, purge BIGINT NOT NULL, rotation_policy TEXT NOT NULL, PRIMARY KEY "
    "(vault, "
    "name))",
    "CREATE TABLE IF NOT EXISTS azure_key_versions (vault TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL "
    "COLLATE NOCASE, version TEXT NOT NULL, ordinal INTEGER NOT NULL, kty TEXT NOT NULL, bits INTEGER NOT "
    "NULL, "
    "sealed TEXT NOT NULL, enabled INTEGER NOT NULL, not_before BIGINT NOT NULL, expires BIGINT NOT NULL, "
    "created "
    "BIGINT NOT NULL, updated BIGINT NOT NULL, operations TEXT NOT NULL, tags TEXT NOT NULL, PRIMARY KEY "
    "(vault, "
    "name, version))",
    "CREATE TABLE IF NOT EXISTS azure_role_assignments (id TEXT NOT NULL PRIMARY KEY, scope TEXT NOT NULL, "
    "role "
    "TEXT NOT NULL, principal_id TEXT NOT NULL)",
};

constexpr char kAppColumns[] = "client_id, name, object_id, sealed_secret, certificate, owner";
constexpr char kVaultColumns[] =
    "name, resource_group, location, rbac, purge_protection, retention, access_policies, tags, created, "
    "deleted";
constexpr char kVersionColumns[] =
    "vault, name, version, ordinal, kty, bits, sealed, enabled, not_before, expires, created, updated, "
    "operations, tags";

long long Micros(absl::Time time) { return absl::ToUnixMicros(time); }
long long Micros(const std::optional<absl::Time>& time) { return time ? absl::ToUnixMicros(*time) : 0; }
std::optional<absl::Time> OptionalTime(long long micros) {
  return micros == 0 ? std::nullopt : std::optional(absl::FromUnixMicros(micros));
}

std::string SecretLabel(const std::string& client_id) {
  return "keyhold localcloud azure secret|" + client_id;
}

std::string KeyLabel(const KeyVersion& key) {
  return absl::StrCat("keyhold localcloud azure key|", absl::AsciiStrToLower(key.vault), "|",
                      absl::AsciiStrToLower(key.name), "|", key.version);
}

std::optional<App> AppFrom(const soci::rowset<soci::row>& rows, const Vault& hsm) {
  for (const soci::row& row : rows) {
    App app;
    app.client_id = row.get<std::string>(0);
    app.name = row.get<std::string>(1);
    app.object_id = row.get<std::string>(2);
    auto secret = hsm.Open(SecretLabel(app.client_id), row.get<std::string>(3));
    if (!secret.ok()) return std::nullopt;
    app.secret = *std::move(secret);
    app.certificate_pem = row.get<std::string>(4);
    app.owner = row.get<int>(5) != 0;
    return app;
  }
  return std::nullopt;
}

KeyVault VaultFrom(const soci::row& row) {
  KeyVault vault;
  vault.name = row.get<std::string>(0);
  vault.group = row.get<std::string>(1);
  vault.location = row.get<std::string>(2);
  vault.rbac = row.get<int>(3) != 0;
  vault.purge_protection = row.get<int>(4) != 0;
  vault.retention_days = row.get<int>(5);
  vault.access_policies = row.get<std::string>(6);
  vault.tags = row.get<std::string>(7);
  vault.created = absl::FromUnixMicros(row.get<long long>(8));
  vault.deleted = OptionalTime(row.get<long long>(9));
  return vault;
}

VaultKey KeyFrom(const soci::row& row) {
  return VaultKey{row.get<std::string>(0), row.get<std::string>(1), OptionalTime(row.get<long long>(2)),
                  OptionalTime(row.get<long long>(3)), row.get<std::string>(4)};
}

}  // namespace

void AzureStore::MakeTables(soci::session& sql) {
  for (const char* statement : kSchema) sql << statement;
}

std::string AzureStore::Setting(const std::string& name) {
  std::string value;
  sql_ << "SELECT value FROM azure_settings WHERE name = :n", soci::use(name), soci::into(value);
  return sql_.got_data() ? value : std::string();
}

void AzureStore::PutSetting(const std::string& name, const std::string& value) {
  sql_ << "INSERT OR REPLACE INTO azure_settings (name, value) VALUES (:n, :v)", soci::use(name),
      soci::use(value);
}

std::optional<App> AzureStore::FindApp(const std::string& client_id) {
  return AppFrom((sql_.prepare << "SELECT " << kAppColumns << " FROM azure_apps WHERE client_id = :c",
                  soci::use(client_id)),
                 hsm_);
}

std::optional<App> AzureStore::FindAppByName(const std::string& name) {
  return AppFrom(
      (sql_.prepare << "SELECT " << kAppColumns << " FROM azure_apps WHERE name = :n", soci::use(name)),
      hsm_);
}

void AzureStore::PutApp(const App& app) {
  const std::string sealed = hsm_.Seal(SecretLabel(app.client_id), app.secret.Expose());
  const int owner = app.owner ? 1 : 0;
  sql_ << "INSERT OR REPLACE INTO azure_apps (" << kAppColumns << ") VALUES (:c, :n, :o, :s, :p, :w)",
      soci::use(app.client_id), soci::use(app.name), soci::use(app.object_id), soci::use(sealed),
      soci::use(app.certificate_pem), soci::use(owner);
}

std::optional<std::string> AzureStore::GroupLocation(const std::string& group) {
  std::string location;
  sql_ << "SELECT location FROM azure_groups WHERE name = :n", soci::use(group), soci::into(location);
  return sql_.got_data() ? std::optional(location) : std::nullopt;
}

std::vector<std::pair<std::string, std::string>> AzureStore::Groups() {
  const soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT name, location FROM azure_groups ORDER BY name");
  std::vector<std::pair<std::string, std::string>> groups;
  for (const soci::row& row : rows) groups.emplace_back(row.get<std::string>(0), row.get<std::string>(1));
  return groups;
}

void AzureStore::PutGroup(const std::string& group, const std::string& location) {
  sql_ << "INSERT OR REPLACE INTO azure_groups (name, location) VALUES (:n, :l)", soci::use(group),
      soci::use(location);
}

std::optional<KeyVault> AzureStore::FindVault(const std::string& name) {
  const soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT " << kVaultColumns << " FROM azure_vaults WHERE name = :n", soci::use(name));
  for (const soci::row& row : rows) return VaultFrom(row);
  return std::nullopt;
}

std::vector<KeyVault> AzureStore::ListVaults() {
  const soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT " << kVaultColumns << " FROM azure_vaults ORDER BY name");
  std::vector<KeyVault> vaults;
  for (const soci::row& row : rows) vaults.push_back(VaultFrom(row));
  return vaults;
}

void AzureStore::PutVault(const KeyVault& vault) {
  const int rbac = vault.rbac ? 1 : 0;
  const int protection = vault.purge_protection ? 1 : 0;
  const long long created = Micros(vault.created);
  const long long deleted = Micros(vault.deleted);
  sql_ << "INSERT OR REPLACE INTO azure_vaults (" << kVaultColumns
       << ") VALUES (:n, :g, :l, :r, :p, :t, :a, :tags, :c, :d)",
      soci::use(vault.name), soci::use(vault.group), soci::use(vault.location), soci::use(rbac),
      soci::use(protection), soci::use(vault.retention_days), soci::use(vault.access_policies),
      soci::use(vault.tags), soci::use(created), soci::use(deleted);
}

void AzureStore::PurgeVault(const std::string& name) {
  for (const char* table :
       {"azure_key_versions WHERE vault", "azure_keys WHERE vault", "azure_vaults WHERE name"}) {
    sql_ << "DELETE FROM " << table << " = :n", soci::use(name);
  }
}

std::optional<VaultKey> AzureStore::FindKey(const std::string& vault, const std::string& name) {
  const soci::rowset<soci::row> rows =
      (sql_.prepare
           << "SELECT vault, name, deleted, purge, rotation_policy FROM azure_keys WHERE vault = :v AND "
              "name = :n",
       soci::use(vault), soci::use(name));
  for (const soci::row& row : rows) return KeyFrom(row);
  return std::nullopt;
}

std::vector<VaultKey> AzureStore::ListKeys(const std::string& vault) {
  const soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT vault, name, deleted, purge, rotation_policy FROM azure_keys WHERE vault = :v "
                       "ORDER BY name",
       soci::use(vault));
  std::vector<VaultKey> keys;
  for (const soci::row& row : rows) keys.push_back(KeyFrom(row));
  return keys;
}

void AzureStore::PutKey(const VaultKey& key) {
  const long long deleted = Micros(key.deleted);
  const long long purge = Micros(key.purge);
  sql_ << "INSERT OR REPLACE INTO azure_keys (vault, name, deleted, purge, rotation_policy) VALUES (:v, :n, "
          ":d, "
          ":p, :r)",
      soci::use(key.vault), soci::use(key.name), soci::use(deleted), soci::use(purge),
      soci::use(key.rotation_policy);
}

void AzureStore::PurgeKey(const VaultKey& key) {
  for (const char* table : {"azure_key_versions", "azure_keys"}) {
    sql_ << "DELETE FROM " << table << " WHERE vault = :v AND name = :n", soci::use(key.vault),
        soci::use(key.name);
  }
}

StatusOr<std::vector<KeyVersion>> AzureStore::Versions(const VaultKey& key) {
  const soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT " << kVersionColumns
                    << " FROM azure_key_versions WHERE vault = :v AND name = :n ORDER BY ordinal",
       soci::use(key.vault), soci::use(key.name));
  std::vector<KeyVersion> versions;
  for (const soci::row& row : rows) {
    KeyVersion version;
    version.vault = row.get<std::string>(0);
    version.name = row.get<std::string>(1);
    version.version = row.get<std::string>(2);
    version.ordinal = row.get<int>(3);
    version.kty = row.get<std::string>(4);
    version.bits = row.get<int>(5);
    KEYHOLD_ASSIGN_OR_RETURN(version.der, hsm_.Open(KeyLabel(version), row.get<std::string>(6)));
    version.enabled = row.get<int>(7) != 0;
    version.not_before = OptionalTime(row.get<long long>(8));
    version.expires = OptionalTime(row.get<long long>(9));
    version.created = absl::FromUnixMicros(row.get<long long>(10));
    version.updated = absl::FromUnixMicros(row.get<long long>(11));
    version.operations = row.get<std::string>(12);
    version.tags = row.get<std::string>(13);
    versions.push_back(std::move(version));
  }
  return versions;
}

void AzureStore::PutVersion(const KeyVersion& version) {
  const std::string sealed = hsm_.Seal(KeyLabel(version), version.der.Expose());
  const int enabled = version.enabled ? 1 : 0;
  const long long not_before = Micros(version.not_before);
  const long long expires = Micros(version.expires);
  const long long created = Micros(version.created);
  const long long updated = Micros(version.updated);
  sql_ << "INSERT OR REPLACE INTO azure_key_versions (" << kVersionColumns
       << ") VALUES (:v, :n, :i, :o, :k, :b, :s, :e, :nb, :x, :c, :u, :ops, :t)",
      soci::use(version.vault), soci::use(version.name), soci::use(version.version),
      soci::use(version.ordinal), soci::use(version.kty), soci::use(version.bits), soci::use(sealed),
      soci::use(enabled), soci::use(not_before), soci::use(expires), soci::use(created), soci::use(updated),
      soci::use(version.operations), soci::use(version.tags);
}

std::vector<RoleAssignment> AzureStore::Assignments() {
  const soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT id, scope, role, principal_id FROM azure_role_assignments ORDER BY id");
  std::vector<RoleAssignment> all;
  for (const soci::row& row : rows) {
    all.push_back(
        {row.get<std::string>(0), row.get<std::string>(1), row.get<std::string>(2), row.get<std::string>(3)});
  }
  return all;
}

void AzureStore::PutAssignment(const RoleAssignment& assignment) {
  sql_ << "INSERT OR REPLACE INTO azure_role_assignments (id, scope, role, principal_id) VALUES (:i, :s, :r, "
          ":p)",
      soci::use(assignment.id), soci::use(assignment.scope), soci::use(assignment.role),
      soci::use(assignment.principal_id);
}

bool AzureStore::DeleteAssignment(const std::string& id) {
  soci::statement statement =
      (sql_.prepare << "DELETE FROM azure_role_assignments WHERE id = :i", soci::use(id));
  statement.execute(true);
  return statement.get_affected_rows() > 0;
}

}  // namespace keyhold::localcloud::azure
