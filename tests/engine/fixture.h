// A real PostgreSQL on a directory of a test's own, and what tests ask it.
#pragma once

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/postgres.h"
#include "tests/base/temp_dir.h"

namespace keyhold::engine {

inline constexpr char kPassword[] = "open sesame";
inline constexpr char kOtherPassword[] = "close sesame";
extern const char kVerifier[];       // of kPassword
extern const char kOtherVerifier[];  // of kOtherPassword

struct Answer {
  std::string value;  // the first field of the last statement's first row; empty without one
  std::string error;  // empty: it succeeded
};

// A session as a client of the socket has it; a failed one answers with its failure.
class Session {
 public:
  Session(const std::string& socket_dir, const std::string& user, const std::string& password,
          const std::string& database = "defaultdb");
  ~Session() { PQfinish(connection_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Answer Ask(const std::string& sql);
  void Send(const std::string& sql);  // without waiting for an answer
  PGconn* get() { return connection_; }

 private:
  PGconn* connection_;
};

class EngineTest : public ::testing::Test {
 protected:
  EngineTest();

  // Starts, or starts again; the test fails where that fails.
  void Start();
  Session Login(const std::string& user, const std::string& password = kPassword,
                const std::string& database = "defaultdb") const {
    return Session(options_.socket_dir, user, password, database);
  }
  // As the superuser, through the operating system's user; what psql prints.
  std::string AsSuperuser(const std::string& sql, const std::string& database = "postgres") const;
  pid_t PostmasterPid() const;
  // Every living process that works in the data directory.
  std::vector<pid_t> Processes() const;

  testing::TempDir dir_;
  PostgresOptions options_;
  std::unique_ptr<Postgres> postgres_;
};

// What `command` printed on both streams, run by a shell.
std::string Shell(const std::string& command);

}  // namespace keyhold::engine
