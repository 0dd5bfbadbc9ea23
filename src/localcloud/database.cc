#include "localcloud/database.h"

#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/stat.h>

#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud {
namespace {

// "KHLC", in the database header's application id.
constexpr int kApplicationId = 0x4b484c43;

constexpr const char* kSchema[] = {
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

int Pragma(soci::session& sql, const std::string& name) {
  int value = 0;
  sql << "PRAGMA " << name, soci::into(value);
  return value;
}

void MakeTables(soci::session& sql) {
  soci::transaction transaction(sql);
  for (const char* statement : kSchema) sql << statement;
  sql << "PRAGMA application_id = " << kApplicationId;
  sql << "PRAGMA user_version = " << kDatabaseVersion;
  transaction.commit();
}

Status CheckVersion(soci::session& sql, const std::string& path) {
  int application = Pragma(sql, "application_id");
  int version = Pragma(sql, "user_version");
  int tables = 0;
  sql << "SELECT count(*) FROM sqlite_master", soci::into(tables);
  if (application == 0 && version == 0 && tables == 0) {
    MakeTables(sql);
    return OkStatus();
  }
  if (application != kApplicationId) {
    return Error(Cause::kCorrupt, path +
                                      " is not a local cloud's database; move it away, or choose another "
                                      "directory");
  }
  if (version == kDatabaseVersion) return OkStatus();
  return Error(Cause::kCorrupt, absl::StrCat(path, " has format ", version, ", this program knows format ",
                                             kDatabaseVersion, "; use the program that wrote it"));
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
