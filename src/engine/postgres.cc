#include "engine/postgres.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"

namespace keyhold::engine {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kReadyWithin = absl::Minutes(30);  // crash recovery may have much to do
constexpr absl::Duration kReadyPoll = absl::Milliseconds(20);
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

// A new file in place of what is there: we are root, and a link that PostgreSQL's user made is not followed.
Status WriteText(const std::string& path, const std::string& text, const OsUser& owner) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "replacing " + path);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(errno, "writing " + path);
  const ssize_t written = write(fd, text.data(), text.size());
  const bool given = written == static_cast<ssize_t>(text.size()) && fchown(fd, owner.uid, owner.gid) == 0;
  const int error = written >= 0 && static_cast<size_t>(written) < text.size() ? ENOSPC : errno;
  close(fd);
  return given ? OkStatus() : ErrnoError(error, "writing " + path);
}

Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "opening " + path);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error == 0 ? OkStatus() : ErrnoError(error, "syncing " + path);
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
  std::error_code ignored;
  if (!fs::exists(options.root + "/data/PG_VERSION", ignored))
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
  std::error_code error;
  fs::remove_all(fresh, error);
  if (mkdir(fresh.c_str(), 0700) != 0) return ErrnoError(errno, "making " + fresh);
  KEYHOLD_RETURN_IF_ERROR(GiveTo(fresh, user_));
  Command initdb{{options_.bin_dir + "/initdb", "-D", fresh, "-U", "keyhold", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--data-checksums", "--auth-local=peer", "--auth-host=reject"},
                 options_.user,
                 fresh,
                 "",
                 SIGKILL};
  KEYHOLD_RETURN_IF_ERROR(RunToEnd(initdb, kInitWithin).status());
  // initdb has synced what is in it.
  if (rename(fresh.c_str(), data().c_str()) != 0) return ErrnoError(errno, "placing the data directory");
  return SyncDirectory(options_.root);
}

Status Postgres::Configure() {
  // The store is locked by us: who still works on it has lost its engine.
  KEYHOLD_RETURN_IF_ERROR(EndProcessesIn(data(), user_));
  KEYHOLD_RETURN_IF_ERROR(
      WriteText(data() + "/postgresql.conf",
                absl::StrCat(kSettings, "unix_socket_directories = '", options_.socket_dir, "'\n"), user_));
  KEYHOLD_RETURN_IF_ERROR(WriteText(data() + "/pg_hba.conf", kHba, user_));
  KEYHOLD_RETURN_IF_ERROR(
      WriteText(data() + "/pg_ident.conf", absl::StrCat("keyhold ", options_.user, " keyhold\n"), user_));
  // Whoever left these is gone, and their process id may be another's now.
  for (const std::string& stale : {data() + "/postmaster.pid", SocketPath(options_.socket_dir),
                                   SocketPath(options_.socket_dir) + ".lock"}) {
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

// PostgreSQL tells its state in the eighth line of postmaster.pid, as pg_ctl reads it.
Status Postgres::AwaitReady() {
  const absl::Time until = absl::Now() + kReadyWithin;
  while (absl::Now() < until) {
    std::ifstream in(data() + "/postmaster.pid");
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
