#include "control/store.h"

#include <fcntl.h>
#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <span>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "control/schema.h"
#include "control/sql.h"
#include "control/tables.h"

namespace keyhold::control {
namespace {

// SOCI keeps SQLite's result code only in the message's text for some calls; the class has it for the rest.
Status FromException(const std::exception& e, const std::string& path) {
  const absl::string_view what = e.what();
  const auto* sqlite = dynamic_cast<const soci::sqlite3_soci_error*>(&e);
  const int code = sqlite == nullptr ? SQLITE_ERROR : sqlite->result() & 0xff;
  const auto says = [&](absl::string_view text) { return absl::StrContains(what, text); };
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED || says("database is locked")) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat(path, " is in use by another server; stop that one first"));
  }
  if (code == SQLITE_FULL || says("disk is full")) {
    return Error(Cause::kResourceExhausted,
                 absl::StrCat("the disk of ", path, " is full; nothing was changed"));
  }
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT || says("not a database") || says("malformed")) {
    return Error(Cause::kCorrupt, absl::StrCat(path, " is damaged (", what, "); restore it from a copy"));
  }
  return Error(Cause::kIo, absl::StrCat("the server's database ", path, ": ", what));
}

// SQLite would make it with the umask's mode.
Status EnsureFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoError(errno, path);
  close(fd);
  return OkStatus();
}

void Configure(soci::session& sql) {
  sql << "pragma locking_mode=exclusive";
  sql << "pragma journal_mode=wal";
  sql << "pragma synchronous=full";
  sql << "pragma foreign_keys=on";
}

bool HasTables(soci::session& sql) {
  int count = 0;
  sql << "select count(*) from sqlite_master", soci::into(count);
  return count > 0;
}

void CreateSchema(soci::session& sql) {
  soci::transaction transaction(sql);
  for (const char* statement : kSchemaV1) sql << statement;
  sql << "insert into settings(name, value) values ('schema_version', '1')";
  transaction.commit();
}

// To `version` from the one before, in one transaction: a file is of one version or the next.
void Upgrade(soci::session& sql, int version, std::span<const char* const> statements) {
  soci::transaction transaction(sql);
  for (const char* statement : statements) sql << statement;
  const std::string text = absl::StrCat(version);  // SOCI reads it when the statement's temporaries are gone
  sql << "update settings set value = :v where name = 'schema_version'", soci::use(text);
  transaction.commit();
}

Status CheckSchema(soci::session& sql, const std::string& path) {
  int known = 0;
  sql << "select count(*) from sqlite_master where type = 'table' and name = 'settings'", soci::into(known);
  std::string text;
  if (known == 1) sql << "select value from settings where name = 'schema_version'", soci::into(text);
  int version = 0;
  if (!absl::SimpleAtoi(text, &version) || version < 1) {
    return Error(Cause::kCorrupt, absl::StrCat(path, " is not a database of a Keyhold server"));
  }
  if (version > kSchemaVersion) {
    return Error(Cause::kFailedPrecondition, absl::StrCat(path, " has schema version ", version,
                                                          ", written by a newer Keyhold; this one knows ",
                                                          kSchemaVersion, ": start the newer one"));
  }
  if (version < 2) Upgrade(sql, 2, kSchemaV2);
  if (version < 3) Upgrade(sql, 3, kSchemaV3);
  if (version < 4) Upgrade(sql, 4, kSchemaV4);
  return OkStatus();
}

Status Prepare(soci::session& sql, const std::string& path) {
  Configure(sql);
  if (!HasTables(sql)) CreateSchema(sql);
  return CheckSchema(sql, path);
}

}  // namespace

struct Store::State {
  std::string path;
  std::mutex mutex;
  soci::session sql;
};

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;

StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path) {
  if (absl::StrContains(path, '"')) return Error(Cause::kInvalidArgument, path + ": no quotes in a path");
  KEYHOLD_RETURN_IF_ERROR(EnsureFile(path));
  auto state = std::make_unique<State>();
  state->path = path;
  try {
    state->sql.open(soci::sqlite3, absl::StrCat("db=\"", path, "\""));
    KEYHOLD_RETURN_IF_ERROR(Prepare(state->sql, path));
  } catch (const std::exception& e) {
    return FromException(e, path);
  }
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

Status Store::Write(const std::function<Status(Tables&)>& change) {
  const std::lock_guard lock(state_->mutex);
  try {
    soci::transaction transaction(state_->sql);
    Tables tables(state_->sql);
    Status status = change(tables);
    if (status.ok()) transaction.commit();
    return status;
  } catch (const std::exception& e) {
    return FromException(e, state_->path);
  }
}

Status Store::Read(const std::function<Status(Tables&)>& look) {
  const std::lock_guard lock(state_->mutex);
  try {
    soci::transaction transaction(state_->sql);
    Tables tables(state_->sql);
    return look(tables);
  } catch (const std::exception& e) {
    return FromException(e, state_->path);
  }
}

}  // namespace keyhold::control
