// PostgreSQL on a directory: made, started, stopped, and its users kept.
//
// It runs as an unprivileged user, listens on a Unix socket alone, and keeps everything that holds data in
// its data directory: temporary files, shared memory of parallel queries, statistics. Its messages go to our
// standard error without statements, details or error texts, which can hold rows. The superuser `keyhold` is
// reached by peer authentication of that unprivileged user only: who comes over the gateway, whose peer is
// root, is not.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "engine/process.h"

namespace keyhold::engine {

struct PostgresOptions {
  std::string bin_dir = "/usr/lib/postgresql/15/bin";
  std::string psql = "/usr/lib/postgresql/15/bin/psql";
  std::string root;        // a directory on the mount; the data directory is root/data
  std::string socket_dir;  // an existing directory, not on the mount
  std::string user = "postgres";
};

struct SqlUser {
  std::string name;
  std::string verifier;  // SCRAM-SHA-256$..., as in pg_authid
  bool operator==(const SqlUser&) const = default;
};

// Safe to use from any thread, one call at a time.
class Postgres {
 public:
  // Makes the data directory where there is none (a half-made one is made anew), starts PostgreSQL with crash
  // recovery where it is due, and returns when it takes connections: with the role `admin` and the database
  // `defaultdb` there. `on_exit` is called when it ends without Stop(), on a thread of its own.
  static StatusOr<std::unique_ptr<Postgres>> Start(const PostgresOptions& options,
                                                   std::function<void()> on_exit);
  ~Postgres();

  // Ends all sessions, writes a last checkpoint and returns when no process is left. What has not ended by
  // `deadline` is stopped at once: nothing that was committed is lost, the next start recovers.
  void Stop(absl::Duration deadline);

  // SQL users are these and no others: made as members of `admin`, changed, or dropped with their sessions
  // ended and what they own given to `admin`. Roles that were made in SQL are left alone.
  Status ApplyUsers(const std::vector<SqlUser>& users);

  // SOCKET_DIR/.s.PGSQL.5432
  static std::string SocketPath(const std::string& socket_dir);

 private:
  explicit Postgres(const PostgresOptions& options) : options_(options) {}
  Status Initialize();
  Status Configure();
  Status Launch(std::function<void()> on_exit);
  Status AwaitReady();
  StatusOr<std::string> Sql(const std::string& script, const std::string& database = "postgres");
  Status Bootstrap();

  const PostgresOptions options_;
  std::unique_ptr<Process> process_;
};

}  // namespace keyhold::engine
