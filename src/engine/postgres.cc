#include "engine/postgres.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace keyhold::engine {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kReadyWithin = absl::Minutes(30);  // crash recovery may have much to do
constexpr absl::Duration kReadyPoll = absl::Milliseconds(20);
constexpr absl::Duration kImmediateWithin = absl::Seconds(5);

// What keeps data inside the mount and out of the log, and what suits a store: commits are one O_DSYNC write
// each.
constexpr char kSettings[] = R"(listen_addresses = ''
unix_socket_permissions = 0700
wal_sync_method = open_datasync
dynamic_shared_memory_type = mmap
shared_buffers = 128MB
max_connections = 200
password_encryption = scram-sha-256
logging_collector = off
log_destination = stderr
log_line_prefix = '%m [%p] postgres: '
log_min_messages = log
log_min_error_statement = panic
log_statement = none
log_error_verbosity = terse
log_checkpoints = off
log_lock_waits = off
log_temp_files = -1
log_autovacuum_min_duration = -1
)";

// Peer: the unprivileged user alone is mapped to the superuser.
constexpr char kHba[] = "local all keyhold peer map=keyhold\nlocal all all scram-sha-256\n";

std::string Identifier(const std::string& name) {
  return absl::StrCat("\"", absl::StrReplaceAll(name, {{"\"", "\"\""}}), "\"");
}

std::string Literal(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

Status WriteText(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::trunc);
  out << text;
  out.close();
  return out ? OkStatus() : ErrnoError(errno, "writing " + path.string());
}

Status GiveTo(const std::string& path, const std::string& user) {
  const passwd* entry = getpwnam(user.c_str());  // NOLINT(concurrency-mt-unsafe): one engine per process
  if (entry == nullptr)
    return Error(Cause::kNotFound, "there is no user " + user + "; install postgresql-15");
  return chown(path.c_str(), entry->pw_uid, entry->pw_gid) == 0 ? OkStatus()
                                                                : ErrnoError(errno, "chown " + path);
}

}  // namespace

std::string Postgres::SocketPath(const std::string& socket_dir) { return socket_dir + "/.s.PGSQL.5432"; }

StatusOr<std::unique_ptr<Postgres>> Postgres::Start(const PostgresOptions& options,
                                                    std::function<void()> on_exit) {
  std::unique_ptr<Postgres> postgres(new Postgres(options));
  std::error_code ignored;
  if (!fs::exists(options.root + "/data/PG_VERSION", ignored))
    KEYHOLD_RETURN_IF_ERROR(postgres->Initialize());
  KEYHOLD_RETURN_IF_ERROR(postgres->Configure());
  KEYHOLD_RETURN_IF_ERROR(postgres->Launch(std::move(on_exit)));
  KEYHOLD_RETURN_IF_ERROR(postgres->AwaitReady());
  KEYHOLD_RETURN_IF_ERROR(postgres->Bootstrap());
  return postgres;
}

Postgres::~Postgres() { Stop(absl::ZeroDuration()); }

// Made beside its place and renamed into it, so that one that is there is whole.
Status Postgres::Initialize() {
  const std::string fresh = options_.root + "/data.new";
  std::error_code error;
  fs::remove_all(fresh, error);
  if (mkdir(fresh.c_str(), 0700) != 0) return ErrnoError(errno, "making " + fresh);
  KEYHOLD_RETURN_IF_ERROR(GiveTo(fresh, options_.user));
  Command initdb{{options_.bin_dir + "/initdb", "-D", fresh, "-U", "keyhold", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--data-checksums", "--auth-local=peer", "--auth-host=reject"},
                 options_.user,
                 fresh,
                 "",
                 SIGKILL};
  KEYHOLD_RETURN_IF_ERROR(RunToEnd(initdb).status());
  if (rename(fresh.c_str(), (options_.root + "/data").c_str()) != 0)
    return ErrnoError(errno, "placing the data directory");
  sync();
  return OkStatus();
}

Status Postgres::Configure() {
  const std::string data = options_.root + "/data";
  KEYHOLD_RETURN_IF_ERROR(
      WriteText(data + "/postgresql.conf",
                absl::StrCat(kSettings, "unix_socket_directories = '", options_.socket_dir, "'\n")));
  KEYHOLD_RETURN_IF_ERROR(WriteText(data + "/pg_hba.conf", kHba));
  KEYHOLD_RETURN_IF_ERROR(
      WriteText(data + "/pg_ident.conf", absl::StrCat("keyhold ", options_.user, " keyhold\n")));
  for (const char* name : {"/postgresql.conf", "/pg_hba.conf", "/pg_ident.conf"}) {
    KEYHOLD_RETURN_IF_ERROR(GiveTo(data + name, options_.user));
  }
  // The store is locked by us: whoever left these is gone, and their process id may be another's now.
  for (const std::string& stale : {data + "/postmaster.pid", SocketPath(options_.socket_dir),
                                   SocketPath(options_.socket_dir) + ".lock"}) {
    unlink(stale.c_str());
  }
  return GiveTo(options_.socket_dir, options_.user);
}

Status Postgres::Launch(std::function<void()> on_exit) {
  const std::string data = options_.root + "/data";
  const Command command{{options_.bin_dir + "/postgres", "-D", data}, options_.user, data, "", SIGQUIT};
  KEYHOLD_ASSIGN_OR_RETURN(process_, Process::Start(command, std::move(on_exit)));
  return OkStatus();
}

// PostgreSQL tells its state in the eighth line of postmaster.pid, as pg_ctl reads it.
Status Postgres::AwaitReady() {
  const absl::Time until = absl::Now() + kReadyWithin;
  while (absl::Now() < until) {
    std::ifstream in(options_.root + "/data/postmaster.pid");
    std::string line;
    for (int i = 0; i < 8 && std::getline(in, line); ++i) {
    }
    if (in && line.rfind("ready", 0) == 0) return OkStatus();
    if (process_->WaitFor(kReadyPoll)) {
      return Error(Cause::kUnavailable,
                   "PostgreSQL ended while starting (" + process_->Ending() + "); the node's log says why");
    }
  }
  return Error(Cause::kUnavailable, "PostgreSQL is not ready after 30 minutes");
}

void Postgres::Stop(absl::Duration deadline) {
  if (process_ == nullptr) return;
  process_->Signal(SIGINT);
  if (!process_->WaitFor(deadline)) {
    process_->Signal(SIGQUIT);
    if (!process_->WaitFor(kImmediateWithin)) kill(-process_->pid(), SIGKILL);
  }
  process_.reset();
}

StatusOr<std::string> Postgres::Sql(const std::string& script, const std::string& database) {
  Command psql{{options_.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", options_.socket_dir,
                "-U", "keyhold", "-d", database, "-f", "-"},
               options_.user,
               "/",
               script,
               SIGKILL};
  return RunToEnd(psql);
}

Status Postgres::Bootstrap() {
  return Sql(R"(SET client_min_messages = error;
SELECT 'CREATE ROLE admin NOLOGIN CREATEDB CREATEROLE' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'admin') \gexec
SELECT 'CREATE DATABASE defaultdb OWNER admin' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'defaultdb') \gexec
)")
      .status();
}

Status Postgres::ApplyUsers(const std::vector<SqlUser>& users) {
  std::string script = "SET client_min_messages = error;\n";
  std::string wanted = "''";
  for (const SqlUser& user : users) {
    if (user.verifier.rfind("SCRAM-SHA-256$", 0) != 0) {
      return Error(Cause::kInvalidArgument,
                   "the password of " + user.name + " is not a SCRAM-SHA-256 verifier");
    }
    absl::StrAppend(&wanted, ", ", Literal(user.name));
    absl::StrAppend(&script, "SELECT format('CREATE ROLE %I', ", Literal(user.name),
                    ") WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ", Literal(user.name),
                    ") \\gexec\n", "ALTER ROLE ", Identifier(user.name),
                    " LOGIN CREATEDB CREATEROLE PASSWORD ", Literal(user.verifier), ";\nGRANT admin TO ",
                    Identifier(user.name), ";\nCOMMENT ON ROLE ", Identifier(user.name), " IS 'keyhold';\n");
  }
  KEYHOLD_RETURN_IF_ERROR(Sql(script).status());
  KEYHOLD_ASSIGN_OR_RETURN(
      const std::string gone,
      Sql(absl::StrCat(
          "SELECT rolname FROM pg_roles r WHERE shobj_description(r.oid, 'pg_authid') = 'keyhold' AND "
          "rolname NOT IN (",
          wanted, ");\n")));
  if (gone.empty()) return OkStatus();
  KEYHOLD_ASSIGN_OR_RETURN(const std::string databases,
                           Sql("SELECT datname FROM pg_database WHERE datallowconn;\n"));
  const std::vector<std::string> roles = absl::StrSplit(gone, '\n', absl::SkipEmpty());
  std::string drops;
  for (const std::string& role : roles) {
    absl::StrAppend(&drops, "ALTER ROLE ", Identifier(role),
                    " NOLOGIN;\nSELECT pg_terminate_backend(pid) FROM ",
                    "pg_stat_activity WHERE usename = ", Literal(role), ";\n");
  }
  KEYHOLD_RETURN_IF_ERROR(Sql(drops).status());
  drops.clear();
  for (const std::string& role : roles) {
    absl::StrAppend(&drops, "REASSIGN OWNED BY ", Identifier(role), " TO admin;\nDROP OWNED BY ",
                    Identifier(role), ";\n");
  }
  for (const std::string& database :
       std::vector<std::string>(absl::StrSplit(databases, '\n', absl::SkipEmpty()))) {
    KEYHOLD_RETURN_IF_ERROR(Sql(drops, database).status());
  }
  std::string last;
  for (const std::string& role : roles) absl::StrAppend(&last, "DROP ROLE ", Identifier(role), ";\n");
  return Sql(last).status();
}

}  // namespace keyhold::engine
