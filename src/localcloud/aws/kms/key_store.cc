#include "localcloud/aws/kms/key_store.h"

#include "absl/strings/str_cat.h"
#include "crypto/hash.h"
#include "localcloud/aws/arn.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kKeyColumns[] =
    "region, key_id, account_id, description, usage, spec, multi_region, state, created, deletion, "
    "rotation_period, next_rotation, policy";

long long Micros(absl::Time time) { return absl::ToUnixMicros(time); }
long long Micros(const std::optional<absl::Time>& time) { return time ? absl::ToUnixMicros(*time) : 0; }

std::optional<absl::Time> OptionalTime(long long micros) {
  return micros == 0 ? std::nullopt : std::optional(absl::FromUnixMicros(micros));
}

KmsKey KeyFrom(const soci::row& row) {
  KmsKey key;
  key.region = row.get<std::string>(0);
  key.key_id = row.get<std::string>(1);
  key.account = row.get<std::string>(2);
  key.description = row.get<std::string>(3);
  key.usage = row.get<std::string>(4);
  key.spec = row.get<std::string>(5);
  key.multi_region = row.get<int>(6) != 0;
  key.state = row.get<std::string>(7);
  key.created = absl::FromUnixMicros(row.get<long long>(8));
  key.deletion = OptionalTime(row.get<long long>(9));
  key.rotation_period = row.get<int>(10);
  key.next_rotation = OptionalTime(row.get<long long>(11));
  key.policy = row.get<std::string>(12);
  return key;
}

std::vector<KmsKey> KeysFrom(const soci::rowset<soci::row>& rows) {
  std::vector<KmsKey> keys;
  for (const soci::row& row : rows) keys.push_back(KeyFrom(row));
  return keys;
}

Alias AliasFrom(const soci::row& row) {
  return Alias{row.get<std::string>(0), row.get<std::string>(1), absl::FromUnixMicros(row.get<long long>(2)),
               absl::FromUnixMicros(row.get<long long>(3))};
}

std::string MaterialLabel(const KmsKey& key, int version) {
  return absl::StrCat("keyhold localcloud aws key material|", key.region, "|", key.key_id, "|", version);
}

}  // namespace

std::string KmsKey::Arn() const { return KeyArn(region, account, key_id); }

std::optional<KmsKey> KeyStore::Find(std::string_view region, std::string_view key_id) {
  std::string r(region), k(key_id);
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT " << kKeyColumns << " FROM keys WHERE region = :r AND key_id = :k",
       soci::use(r), soci::use(k));
  for (const soci::row& row : rows) return KeyFrom(row);
  return std::nullopt;
}

std::vector<KmsKey> KeyStore::List(std::string_view region, std::string_view account) {
  std::string r(region), a(account);
  return KeysFrom((sql_.prepare << "SELECT " << kKeyColumns
                                << " FROM keys WHERE region = :r AND account_id = :a ORDER BY key_id",
                   soci::use(r), soci::use(a)));
}

void KeyStore::Put(const KmsKey& key) {
  int multi_region = key.multi_region ? 1 : 0;
  long long created = Micros(key.created), deletion = Micros(key.deletion),
            rotation = Micros(key.next_rotation);
  sql_ << "INSERT OR REPLACE INTO keys (" << kKeyColumns
       << ") VALUES (:r, :k, :a, :d, :u, :s, :m, :st, :c, :del, :rp, :nr, :p)",
      soci::use(key.region), soci::use(key.key_id), soci::use(key.account), soci::use(key.description),
      soci::use(key.usage), soci::use(key.spec), soci::use(multi_region), soci::use(key.state),
      soci::use(created), soci::use(deletion), soci::use(key.rotation_period), soci::use(rotation),
      soci::use(key.policy);
}

void KeyStore::Destroy(const KmsKey& key) {
  for (const char* table : {"materials", "aliases", "tags", "keys"}) {
    sql_ << "DELETE FROM " << table << " WHERE region = :r AND key_id = :k", soci::use(key.region),
        soci::use(key.key_id);
  }
}

std::vector<KmsKey> KeyStore::Due(absl::Time now) {
  long long micros = Micros(now);
  return KeysFrom(
      (sql_.prepare << "SELECT " << kKeyColumns
                    << " FROM keys WHERE (deletion <> 0 AND deletion <= :d) OR (state = 'Enabled' AND "
                       "next_rotation <> 0 AND next_rotation <= :n)",
       soci::use(micros), soci::use(micros)));
}

StatusOr<KeyMaterial> KeyStore::AddMaterial(const KmsKey& key, std::string_view rotation_type,
                                            absl::Time now) {
  int newest = 0;
  sql_ << "SELECT coalesce(max(version), 0) FROM materials WHERE region = :r AND key_id = :k",
      soci::use(key.region), soci::use(key.key_id), soci::into(newest);
  KeyMaterial material;
  material.version = newest + 1;
  uint8_t id[32];
  vault_.random().Fill(id);
  material.material_id = crypto::Hex(id);
  material.rotation_type = rotation_type;
  material.created = now;
  material.key = vault_.random().Secret(32);
  std::string sealed = vault_.Seal(MaterialLabel(key, material.version), material.key.Expose());
  long long created = Micros(now);
  sql_ << "INSERT INTO materials (region, key_id, version, material_id, sealed, created, rotation_type) "
          "VALUES (:r, :k, :v, :i, :s, :c, :t)",
      soci::use(key.region), soci::use(key.key_id), soci::use(material.version),
      soci::use(material.material_id), soci::use(sealed), soci::use(created),
      soci::use(material.rotation_type);
  return material;
}

StatusOr<std::vector<KeyMaterial>> KeyStore::Materials(const KmsKey& key) {
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT version, material_id, sealed, created, rotation_type FROM materials "
                       "WHERE region = :r AND key_id = :k ORDER BY version",
       soci::use(key.region), soci::use(key.key_id));
  std::vector<KeyMaterial> materials;
  for (const soci::row& row : rows) {
    KeyMaterial material;
    material.version = row.get<int>(0);
    material.material_id = row.get<std::string>(1);
    KEYHOLD_ASSIGN_OR_RETURN(material.key,
                             vault_.Open(MaterialLabel(key, material.version), row.get<std::string>(2)));
    material.created = absl::FromUnixMicros(row.get<long long>(3));
    material.rotation_type = row.get<std::string>(4);
    materials.push_back(std::move(material));
  }
  return materials;
}

std::optional<Alias> KeyStore::FindAlias(std::string_view region, std::string_view account,
                                         std::string_view name) {
  std::string r(region), a(account), n(name);
  soci::rowset<soci::row> rows = (sql_.prepare << "SELECT name, key_id, created, updated FROM aliases "
                                                  "WHERE region = :r AND account_id = :a AND name = :n",
                                  soci::use(r), soci::use(a), soci::use(n));
  for (const soci::row& row : rows) return AliasFrom(row);
  return std::nullopt;
}

std::vector<Alias> KeyStore::ListAliases(std::string_view region, std::string_view account) {
  std::string r(region), a(account);
  soci::rowset<soci::row> rows = (sql_.prepare << "SELECT name, key_id, created, updated FROM aliases "
                                                  "WHERE region = :r AND account_id = :a ORDER BY name",
                                  soci::use(r), soci::use(a));
  std::vector<Alias> aliases;
  for (const soci::row& row : rows) aliases.push_back(AliasFrom(row));
  return aliases;
}

void KeyStore::PutAlias(std::string_view region, std::string_view account, const Alias& alias) {
  std::string r(region), a(account);
  long long created = Micros(alias.created), updated = Micros(alias.updated);
  sql_ << "INSERT OR REPLACE INTO aliases (region, account_id, name, key_id, created, updated) "
          "VALUES (:r, :a, :n, :k, :c, :u)",
      soci::use(r), soci::use(a), soci::use(alias.name), soci::use(alias.key_id), soci::use(created),
      soci::use(updated);
}

void KeyStore::DeleteAlias(std::string_view region, std::string_view account, std::string_view name) {
  std::string r(region), a(account), n(name);
  sql_ << "DELETE FROM aliases WHERE region = :r AND account_id = :a AND name = :n", soci::use(r),
      soci::use(a), soci::use(n);
}

std::map<std::string, std::string> KeyStore::Tags(const KmsKey& key) {
  soci::rowset<soci::row> rows =
      (sql_.prepare << "SELECT name, value FROM tags WHERE region = :r AND key_id = :k",
       soci::use(key.region), soci::use(key.key_id));
  std::map<std::string, std::string> tags;
  for (const soci::row& row : rows) tags[row.get<std::string>(0)] = row.get<std::string>(1);
  return tags;
}

void KeyStore::PutTag(const KmsKey& key, std::string_view name, std::string_view value) {
  std::string n(name), v(value);
  sql_ << "INSERT OR REPLACE INTO tags (region, key_id, name, value) VALUES (:r, :k, :n, :v)",
      soci::use(key.region), soci::use(key.key_id), soci::use(n), soci::use(v);
}

void KeyStore::DeleteTag(const KmsKey& key, std::string_view name) {
  std::string n(name);
  sql_ << "DELETE FROM tags WHERE region = :r AND key_id = :k AND name = :n", soci::use(key.region),
      soci::use(key.key_id), soci::use(n);
}

}  // namespace keyhold::localcloud::aws
