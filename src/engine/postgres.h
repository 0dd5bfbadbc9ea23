// PostgreSQL on a directory: made, started, stopped, and its users kept.
//
// It runs as an unprivileged user, listens on a Unix socket alone, and keeps everything that holds data in
// its data directory: temporary files, shared memory of parallel queries, statistics. Its messages go to our
// standard error without statements, details or error texts, which can hold rows. The superuser `keyhold` is
// reached by peer authentication of that unprivileged user only: who comes over the gateway, whose peer is
// root, is not; and no SQL user can become that operating system's user (users.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "engine/process.h"
#include "engine/users.h"

namespace keyhold::engine {

struct PostgresOptions {
  std::string bin_dir = "/usr/lib/postgresql/15/bin";
  std::string psql = "/usr/lib/postgresql/15/bin/psql";
  std::string root;        // a directory on the mount; the data directory is root/data
  std::string socket_dir;  // an existing directory, not on the mount
  std::string user = "postgres";
};

// Safe to use from any thread, one call at a time.
class Postgres {
 public:
  // Makes the data directory where there is none (a half-made one is made anew), ends what an earlier engine
  // has left running on it, starts PostgreSQL with crash recovery where it is due, and returns when it takes
  // connections: with the role `admin` and the database `defaultdb` there. `on_exit` is called when it ends
  // without Stop(), on a thread of its own. The calling thread must live as long as PostgreSQL is to: it is
  // stopped when that thread ends. kNotFound: no such user or program; kUnavailable: it does not start, and
  // our standard error says why; kIo.
  static StatusOr<std::unique_ptr<Postgres>> Start(const PostgresOptions& options,
                                                   std::function<void()> on_exit);
  ~Postgres();

  // Ends all sessions, writes a last checkpoint and returns when no process is left. What has not ended by
  // `deadline` is stopped at once: nothing that was committed is lost, the next start recovers.
  void Stop(absl::Duration deadline);

  // SQL users are these and no others: made as members of `admin`, changed, or dropped with their sessions
  // ended and what they own given to `admin`. Roles that were made in SQL are left alone. Takes kMakeWithin
  // and kDropWithin at most, and waits for a session's lock no longer than kUserLockTimeout: a removed user
  // whose tables a session locks cannot log in from now on, and is dropped by a later call. kInvalidArgument:
  // a name or a verifier, and nothing has changed; kUnavailable: a session locks a user that is to be
  // changed, or PostgreSQL is not there, and nothing has changed: call again. May run beside Stop().
  Status ApplyUsers(const std::vector<SqlUser>& users);

  // SOCKET_DIR/.s.PGSQL.5432
  static std::string SocketPath(const std::string& socket_dir);

 private:
  Postgres(const PostgresOptions& options, const OsUser& user) : options_(options), user_(user) {}
  Status Initialize();
  Status Configure();
  Status Launch(std::function<void()> on_exit);
  Status AwaitReady();
  StatusOr<std::string> Sql(const std::string& script, const std::string& database, absl::Duration time);
  std::string data() const { return options_.root + "/data"; }

  const PostgresOptions options_;
  const OsUser user_;
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<Process> process_;
};

}  // namespace keyhold::engine
