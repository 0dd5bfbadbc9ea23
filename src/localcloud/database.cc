#include "localcloud/database.h"

#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/stat.h>

#include <mutex>
#include <span>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud {
namespace {

// "KHLC", in the database header's application id.
constexpr int kApplicationId = 0x4b484c43;

constexpr const char* kAws[] = {
    "CREATE TABLE users (account_id TEXT NOT NULL, name TEXT NOT NULL, user_id TEXT NOT NULL, "
    "access_key_id TEXT NOT NULL UNIQUE, sealed_secret TEXT NOT NULL, policy TEXT NOT NULL, "
    "PRIMARY KEY (account_id, name))",
    "CREATE TABLE roles (account_id TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, role_id TEXT NOT "
    "NULL, trust_policy TEXT NOT NULL, description TEXT NOT NULL, max_session INTEGER NOT NULL, created "
    "BIGINT "
    "NOT NULL, PRIMARY KEY (account_id, name))",
    "CREATE TABLE role_policies (account_id TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL, document "
    "TEXT NOT NULL, PRIMARY KEY (account_id, role, name))",
    "CREATE TABLE keys (region TEXT NOT NULL, key_id TEXT NOT NULL, account_id TEXT NOT NULL, description "
    "TEXT "
    "NOT NULL, usage TEXT NOT NULL, spec TEXT NOT NULL, multi_region INTEGER NOT NULL, state TEXT NOT NULL, "
    "created BIGINT NOT NULL, deletion BIGINT NOT NULL, rotation_period INTEGER NOT NULL, next_rotation "
    "BIGINT NOT NULL, policy TEXT NOT NULL, PRIMARY KEY (region, key_id))",
    "CREATE TABLE materials (region TEXT NOT NULL, key_id TEXT NOT NULL, version INTEGER NOT NULL, "
    "material_id "
    "TEXT NOT NULL, sealed TEXT NOT NULL, created BIGINT NOT NULL, rotation_type TEXT NOT NULL, PRIMARY KEY "
    "(region, key_id, version))",
    "CREATE TABLE aliases (region TEXT NOT NULL, account_id TEXT NOT NULL, name TEXT NOT NULL, key_id TEXT "
    "NOT "
    "NULL, created BIGINT NOT NULL, updated BIGINT NOT NULL, PRIMARY KEY (region, account_id, name))",
    "CREATE TABLE tags (region TEXT NOT NULL, key_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, "
    "PRIMARY KEY (region, key_id, name))",
};

constexpr const char* kGcp[] = {
    "CREATE TABLE gcp_projects (id TEXT NOT NULL PRIMARY KEY, number TEXT NOT NULL, policy TEXT NOT NULL)",
    "CREATE TABLE gcp_accounts (email TEXT NOT NULL PRIMARY KEY, project TEXT NOT NULL, unique_id TEXT NOT "
    "NULL, display_name TEXT NOT NULL, policy TEXT NOT NULL, disabled INTEGER NOT NULL)",
    "CREATE TABLE gcp_account_keys (id TEXT NOT NULL PRIMARY KEY, email TEXT NOT NULL, public_pem TEXT NOT "
    "NULL, sealed TEXT NOT NULL, created BIGINT NOT NULL)",
    "CREATE TABLE gcp_key_rings (name TEXT NOT NULL PRIMARY KEY, location TEXT NOT NULL, policy TEXT NOT "
    "NULL, created BIGINT NOT NULL)",
    "CREATE TABLE gcp_keys (name TEXT NOT NULL PRIMARY KEY, ring TEXT NOT NULL, purpose TEXT NOT NULL, "
    "algorithm TEXT NOT NULL, protection TEXT NOT NULL, primary_version INTEGER NOT NULL, destroy_scheduled "
    "BIGINT NOT NULL, rotation_period BIGINT NOT NULL, next_rotation BIGINT NOT NULL, labels TEXT NOT NULL, "
    "created BIGINT NOT NULL, policy TEXT NOT NULL)",
    "CREATE TABLE gcp_versions (key_name TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, "
    "algorithm TEXT NOT NULL, protection TEXT NOT NULL, sealed TEXT NOT NULL, created BIGINT NOT NULL, "
    "destroy BIGINT NOT NULL, destroyed BIGINT NOT NULL, PRIMARY KEY (key_name, number))",
};

// Users of their own, with any number of keys and policies; until then an account had one of each.
constexpr const char* kAwsUsers[] = {
    "CREATE TABLE accounts (account_id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL UNIQUE)",
    "INSERT INTO accounts SELECT account_id, name FROM users",
    "CREATE TABLE access_keys (access_key_id TEXT NOT NULL PRIMARY KEY, account_id TEXT NOT NULL, user TEXT "
    "NOT NULL, sealed_secret TEXT NOT NULL, status TEXT NOT NULL, created BIGINT NOT NULL)",
    "INSERT INTO access_keys SELECT access_key_id, account_id, name, sealed_secret, 'Active', "
    "CAST(strftime('%s', 'now') AS INTEGER) FROM users",
    "CREATE TABLE user_policies (account_id TEXT NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL, document "
    "TEXT NOT NULL, PRIMARY KEY (account_id, user, name))",
    "INSERT INTO user_policies SELECT account_id, name, 'default', policy FROM users",
    "ALTER TABLE users RENAME TO old_users",
    "CREATE TABLE users (account_id TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, user_id TEXT NOT "
    "NULL, created BIGINT NOT NULL, PRIMARY KEY (account_id, name))",
    "INSERT INTO users SELECT account_id, name, '/', user_id, CAST(strftime('%s', 'now') AS INTEGER) FROM "
    "old_users",
    "DROP TABLE old_users",
};

// What makes format i + 1 of format i. A step that was released is never changed: others are added.
constexpr std::span<const char* const> kSteps[] = {kAws, kGcp, kAwsUsers};
static_assert(std::size(kSteps) == kDatabaseVersion);

int Pragma(soci::session& sql, const std::string& name) {
  int value = 0;
  sql << "PRAGMA " << name, soci::into(value);
  return value;
}

// All steps from format `version` on, or none.
void BringUp(soci::session& sql, int version) {
  soci::transaction transaction(sql);
  for (const auto step : std::span(kSteps).subspan(static_cast<size_t>(version))) {
    for (const char* statement : step) sql << statement;
  }
  sql << "PRAGMA application_id = " << kApplicationId;
  sql << "PRAGMA user_version = " << kDatabaseVersion;
  transaction.commit();
}

Status CheckVersion(soci::session& sql, const std::string& path) {
  const int application = Pragma(sql, "application_id");
  const int version = Pragma(sql, "user_version");
  int tables = 0;
  sql << "SELECT count(*) FROM sqlite_master", soci::into(tables);
  const bool empty = application == 0 && version == 0 && tables == 0;
  if (!empty && application != kApplicationId) {
    return Error(Cause::kCorrupt, path +
                                      " is not a local cloud's database; move it away, or choose another "
                                      "directory");
  }
  if (version < 0 || version > kDatabaseVersion) {
    return Error(Cause::kCorrupt, absl::StrCat(path, " has format ", version, ", this program knows format ",
                                               kDatabaseVersion, "; use the program that wrote it"));
  }
  if (version < kDatabaseVersion) BringUp(sql, version);
  return OkStatus();
}

Status SqlError(const soci::soci_error& error) {
  std::string message = absl::StrCat("the local cloud's database: ", error.what());
  bool full = absl::StrContains(message, "disk is full");
  return Error(full ? Cause::kResourceExhausted : Cause::kIo, message);
}

}  // namespace

class Database::Impl {
 public:
  Status Open(const std::string& path) {
    sql_.open(soci::sqlite3, "db=" + path + " timeout=5");
    chmod(path.c_str(), 0600);
    std::string mode;
    sql_ << "PRAGMA journal_mode = WAL", soci::into(mode);
    sql_ << "PRAGMA synchronous = FULL";
    return CheckVersion(sql_, path);
  }

  Status Transact(absl::FunctionRef<Status(soci::session&)> work) {
    std::lock_guard lock(mutex_);
    soci::transaction transaction(sql_);
    Status status = work(sql_);
    if (!status.ok()) return status;
    transaction.commit();
    return status;
  }

 private:
  std::mutex mutex_;  // guards sql_
  soci::session sql_;
};

StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  try {
    KEYHOLD_RETURN_IF_ERROR(impl->Open(path));
  } catch (const soci::soci_error& error) {
    return Error(Cause::kCorrupt, absl::StrCat("cannot open ", path, ": ", error.what()));
  }
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

Status Database::Transact(absl::FunctionRef<Status(soci::session&)> work) {
  try {
    return impl_->Transact(work);
  } catch (const soci::soci_error& error) {
    return SqlError(error);
  }
}

}  // namespace keyhold::localcloud
