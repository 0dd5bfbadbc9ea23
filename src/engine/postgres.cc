#include "engine/postgres.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"

namespace keyhold::engine {
namespace {

constexpr char kRoot[] = "root";
constexpr absl::Duration kReadyWithin = absl::Minutes(30);  // crash recovery may have much to do
constexpr absl::Duration kEndedPoll = absl::Milliseconds(50);
constexpr absl::Duration kImmediateWithin = absl::Seconds(5);
constexpr absl::Duration kInitWithin = absl::Minutes(10);
constexpr absl::Duration kBootstrapWithin = absl::Minutes(1);

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

Status GiveTo(const std::string& path, const OsUser& user) {
  return lchown(path.c_str(), user.uid, user.gid) == 0 ? OkStatus() : ErrnoError(errno, "chown " + path);
}

// Children alone touch the root directory: it may be a mount of this very process. The kernel lets nobody who
// was killed go before the answer to what he asked of FUSE, and if the one to answer dies with him, none
// comes.
constexpr char kShell[] = "/bin/sh";

// As root. Prints nothing where there is a data directory; what is half made goes.
constexpr char kMakeRoom[] =
    "if [ -e data/PG_VERSION ]; then exit 0; fi; "
    "rm -rf data.new && mkdir -m 700 data.new && chown \"$1\" data.new && echo made";
constexpr char kPlace[] = "mv -T data.new data && sync .";

// As PostgreSQL's user, in the data directory: new files in place of what is there. Whoever left a
// postmaster.pid is gone, and its process id may be another's now.
constexpr char kConfigure[] =
    "rm -f postgresql.conf pg_hba.conf pg_ident.conf postmaster.pid && printf %s \"$1\" > postgresql.conf && "
    "printf %s \"$2\" > pg_hba.conf && printf %s \"$3\" > pg_ident.conf";

// PostgreSQL tells its state in the eighth line of postmaster.pid, as pg_ctl reads it.
constexpr char kAwaitReady[] = R"(while :; do
  n=0
  while [ $n -lt 8 ] && read -r line; do n=$((n + 1)); done < postmaster.pid
  case "$n$line" in 8ready*) exit 0 ;; esac
  sleep 0.02
done 2> /dev/null)";

Command Script(const char* script, const std::string& user, const std::string& directory,
               const std::vector<std::string>& arguments = {}) {
  Command command{{kShell, "-c", script, kShell}, user, directory, "", SIGKILL};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  return command;
}

// A name that may hold anything, as a connection string that names nothing else. The option overrides what
// users set for their database: a timeout that ends even the statement which takes it back.
std::string ConnectionString(const std::string& database) {
  return absl::StrCat("dbname='", absl::StrReplaceAll(database, {{"\\", "\\\\"}, {"'", "\\'"}}),
                      "' options='-c statement_timeout=0'");
}

}  // namespace

std::string Postgres::SocketPath(const std::string& socket_dir) { return socket_dir + "/.s.PGSQL.5432"; }

StatusOr<std::unique_ptr<Postgres>> Postgres::Start(const PostgresOptions& options,
                                                    std::function<void()> on_exit) {
  KEYHOLD_ASSIGN_OR_RETURN(const OsUser user, FindOsUser(options.user));
  std::unique_ptr<Postgres> postgres(new Postgres(options, user));
  KEYHOLD_RETURN_IF_ERROR(postgres->Initialize());
  KEYHOLD_RETURN_IF_ERROR(postgres->Configure());
  KEYHOLD_RETURN_IF_ERROR(postgres->Launch(std::move(on_exit)));
  KEYHOLD_RETURN_IF_ERROR(postgres->AwaitReady());
  KEYHOLD_RETURN_IF_ERROR(postgres->Sql(BootstrapScript(), "postgres", kBootstrapWithin).status());
  return postgres;
}

Postgres::~Postgres() { Stop(absl::ZeroDuration()); }

// Made beside its place and renamed into it, so that one that is there is whole.
Status Postgres::Initialize() {
  const std::string fresh = options_.root + "/data.new";
  const std::string owner = absl::StrCat(user_.uid, ":", user_.gid);
  const auto made = RunToEnd(Script(kMakeRoom, kRoot, options_.root, {owner}), kInitWithin);
  if (!made.ok()) return Annotate(made.status(), "making the data directory in " + options_.root);
  if (made->empty()) return OkStatus();
  Command initdb{{options_.bin_dir + "/initdb", "-D", fresh, "-U", "keyhold", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--data-checksums", "--auth-local=peer", "--auth-host=reject"},
                 options_.user,
                 fresh,
                 "",
                 SIGKILL};
  KEYHOLD_RETURN_IF_ERROR(RunToEnd(initdb, kInitWithin).status());
  // initdb has synced what is in it.
  return RunToEnd(Script(kPlace, kRoot, options_.root), kInitWithin).status();
}

Status Postgres::Configure() {
  // The store is locked by us: who still works on it has lost its engine.
  KEYHOLD_RETURN_IF_ERROR(EndProcessesIn(data(), user_));
  const std::vector<std::string> files = {
      absl::StrCat(kSettings, "unix_socket_directories = '", options_.socket_dir, "'\n"), kHba,
      absl::StrCat("keyhold ", options_.user, " keyhold\n")};
  KEYHOLD_RETURN_IF_ERROR(RunToEnd(Script(kConfigure, options_.user, data(), files), kInitWithin).status());
  for (const std::string& stale :
       {SocketPath(options_.socket_dir), SocketPath(options_.socket_dir) + ".lock"}) {
    unlink(stale.c_str());
  }
  return GiveTo(options_.socket_dir, user_);
}

Status Postgres::Launch(std::function<void()> on_exit) {
  const Command command{{options_.bin_dir + "/postgres", "-D", data()}, options_.user, data(), "", SIGQUIT};
  KEYHOLD_ASSIGN_OR_RETURN(process_, Process::Start(command, [this, on_exit = std::move(on_exit)] {
                             if (!stopping_) on_exit();
                           }));
  return OkStatus();
}

Status Postgres::AwaitReady() {
  KEYHOLD_ASSIGN_OR_RETURN(const auto ready,
                           Process::Start(Script(kAwaitReady, options_.user, data()), [] {}));
  const absl::Time until = absl::Now() + kReadyWithin;
  while (absl::Now() < until) {
    if (ready->WaitFor(kEndedPoll)) break;
    if (process_->WaitFor(absl::ZeroDuration())) {
      return Error(Cause::kUnavailable,
                   "PostgreSQL ended while starting (" + process_->Ending() + "); the node's log says why");
    }
  }
  const std::string ending = ready->Ending();
  if (ending == "exit 0") return OkStatus();
  return Error(Cause::kUnavailable, ending.empty() ? "PostgreSQL is not ready after 30 minutes"
                                                   : "what waited for PostgreSQL ended: " + ending);
}

void Postgres::Stop(absl::Duration deadline) {
  if (process_ == nullptr) return;
  stopping_ = true;
  process_->Signal(SIGINT);
  if (!process_->WaitFor(deadline)) {
    process_->Signal(SIGQUIT);
    process_->WaitFor(kImmediateWithin);
  }
  process_.reset();
  if (const Status ended = EndProcessesIn(data(), user_); !ended.ok()) {
    spdlog::error("engine: {}", std::string(ended.message()));
  }
}

StatusOr<std::string> Postgres::Sql(const std::string& script, const std::string& database,
                                    absl::Duration time) {
  const Command psql{
      {options_.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse", "-h",
       options_.socket_dir, "-U", "keyhold", "-d", ConnectionString(database), "-f", "-"},
      options_.user,
      "/",
      script,
      SIGKILL};
  return RunToEnd(psql, time);
}

Status Postgres::ApplyUsers(const std::vector<SqlUser>& users) {
  return engine::ApplyUsers([this](const auto&... arguments) { return Sql(arguments...); }, users);
}

}  // namespace keyhold::engine
