// PostgreSQL's life: made, started, stopped, killed; what it leaves on the disk, in the log and in /proc.
#include "engine/postgres.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/engine/fixture.h"

namespace keyhold::engine {
namespace {

using testing::ReadFile;
using testing::WriteFile;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

class PostgresTest : public EngineTest {
 protected:
  std::string data() const { return options_.root + "/data"; }
  void StartWithAlice() {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_TRUE(postgres_->ApplyUsers({{"alice", kVerifier}}).ok());
  }
};

// An event that another thread makes happen.
class Happening {
 public:
  void Happen() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool Await() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return count_ > 0; });
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

TEST_F(PostgresTest, KeepsEverythingThatHoldsDataInItsDirectory) {
  StartWithAlice();
  Session alice = Login("alice");
  const std::pair<const char*, const char*> settings[] = {
      {"listen_addresses", ""},
      {"data_checksums", "on"},
      {"server_encoding", "UTF8"},
      {"wal_sync_method", "open_datasync"},
      {"password_encryption", "scram-sha-256"},
      {"dynamic_shared_memory_type", "mmap"},  // posix is /dev/shm, where parallel queries would put rows
      {"shared_memory_type", "mmap"},
      {"temp_tablespaces", ""},
      {"logging_collector", "off"},
  };
  for (const auto& [name, value] : settings)
    EXPECT_EQ(alice.Ask(absl::StrCat("SHOW ", name)).value, value) << name;
  EXPECT_EQ(alice.Ask("CREATE TABLE t (i int)").error, "");
  struct stat info {};
  ASSERT_EQ(stat(data().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
  EXPECT_FALSE(std::filesystem::exists(options_.root + "/data.new"));
}

TEST_F(PostgresTest, AHalfMadeDirectoryIsMadeAnew) {
  mkdir((options_.root + "/data.new").c_str(), 0700);
  WriteFile(options_.root + "/data.new/PG_VERSION", "15\n");
  StartWithAlice();
  EXPECT_EQ(Login("alice").Ask("SELECT 1").value, "1");
}

TEST_F(PostgresTest, RunsUnprivilegedWithNothingOfOurs) {
  setenv("KEYHOLD_TEST_SECRET", "of-the-parent", 1);
  const int leaked = open("/etc/hostname", O_RDONLY);  // without O_CLOEXEC
  Start();
  close(leaked);
  const std::string proc = absl::StrCat("/proc/", PostmasterPid());
  EXPECT_EQ(ReadFile(proc + "/environ").find("of-the-parent"), std::string::npos);
  const std::string status = ReadFile(proc + "/status");
  EXPECT_NE(status.find("\nCapEff:\t0000000000000000"), std::string::npos) << status;
  EXPECT_EQ(status.find("\nUid:\t0"), std::string::npos) << status;
  EXPECT_NE(ReadFile(proc + "/limits").find("Max core file size        0                    0"),
            std::string::npos);
  for (const auto& fd : std::filesystem::directory_iterator(proc + "/fd")) {
    EXPECT_NE(std::filesystem::read_symlink(fd.path()), "/etc/hostname");
  }
}

TEST_F(PostgresTest, StopLeavesNoProcessAndIsNoExit) {
  Happening exit;
  auto postgres = Postgres::Start(options_, [&] { exit.Happen(); });
  ASSERT_TRUE(postgres.ok()) << postgres.status();
  (*postgres)->Stop(absl::Seconds(20));
  EXPECT_TRUE(Processes().empty());
  EXPECT_EQ(exit.count(), 0);
  EXPECT_NE(Shell("/usr/lib/postgresql/15/bin/pg_controldata " + data()).find("shut down"),
            std::string::npos);
  (*postgres)->Stop(absl::Seconds(20));
}

TEST_F(PostgresTest, AnEndByItselfIsNoticedAndTheNextStartRecovers) {
  Happening exit;
  auto postgres = Postgres::Start(options_, [&] { exit.Happen(); });
  ASSERT_TRUE(postgres.ok()) << postgres.status();
  ASSERT_TRUE((*postgres)->ApplyUsers({{"alice", kVerifier}}).ok());
  EXPECT_EQ(Login("alice").Ask("CREATE TABLE t AS SELECT generate_series(1, 1000) i").error, "");
  kill(PostmasterPid(), SIGKILL);
  EXPECT_TRUE(exit.Await());
  postgres->reset();
  EXPECT_EQ(exit.count(), 1);
  StartWithAlice();
  EXPECT_EQ(Login("alice").Ask("SELECT count(*) FROM t").value, "1000");
}

// A backend is a session of its own, and one that computes does not look for its postmaster.
TEST_F(PostgresTest, ABusyBackendWhosePostmasterDiedIsEndedToo) {
  StartWithAlice();
  Session busy = Login("alice");
  busy.Send("DO 'DECLARE i bigint := 0; BEGIN LOOP i := i + 1; END LOOP; END'");
  const std::string running =
      "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO%' AND state = 'active'";
  Session watcher = Login("alice");
  while (watcher.Ask(running).value != "1") ASSERT_EQ(watcher.Ask(running).error, "");
  kill(PostmasterPid(), SIGKILL);
  postgres_->Stop(absl::Seconds(20));
  EXPECT_TRUE(Processes().empty());
  Start();
}

TEST_F(PostgresTest, AClientThatDoesNotEndIsNoReasonToGoOn) {
  StartWithAlice();
  Session busy = Login("alice");
  busy.Send("DO 'DECLARE i bigint := 0; BEGIN LOOP i := i + 1; END LOOP; END'");
  postgres_->Stop(absl::ZeroDuration());
  EXPECT_TRUE(Processes().empty());
}

TEST_F(PostgresTest, AKilledHostLosesNoCommittedRow) {
  StartWithAlice();
  postgres_.reset();
  for (int round = 1; round <= 3; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t host = fork();
    if (host == 0) {
      dup2(pipe_ends[1], 1);
      execl(ENGINE_HOST, ENGINE_HOST, options_.root.c_str(), options_.socket_dir.c_str(), nullptr);
      _exit(127);
    }
    close(pipe_ends[1]);
    char answer[6] = {};
    EXPECT_EQ(read(pipe_ends[0], answer, 5), 5);
    EXPECT_STREQ(answer, "ready");
    Session alice = Login("alice");
    EXPECT_EQ(alice.Ask("CREATE TABLE IF NOT EXISTS t (i int); INSERT INTO t SELECT generate_series(1, 1000)")
                  .error,
              "");
    kill(host, SIGKILL);
    waitpid(host, nullptr, 0);
    close(pipe_ends[0]);
    Start();
    EXPECT_EQ(Login("alice").Ask("SELECT count(*) FROM t").value, std::to_string(1000 * round));
    postgres_.reset();
  }
}

TEST_F(PostgresTest, ALeftoverPostmasterIsEndedBeforeANewOneStarts) {
  StartWithAlice();
  postgres_->Stop(absl::Seconds(20));
  Shell(absl::StrCat("cd ", data(), " && runuser -u postgres -- /usr/lib/postgresql/15/bin/pg_ctl -w -D ",
                     data(), " -l ", dir_.File("sockets/log"), " start"));
  const pid_t leftover = PostmasterPid();
  EXPECT_EQ(Login("alice").Ask("CREATE TABLE t AS SELECT 1 i").error, "");
  Start();
  EXPECT_NE(PostmasterPid(), leftover);
  EXPECT_THAT(Processes(), ::testing::Not(::testing::Contains(leftover)))
      << "two postmasters on one directory";
  EXPECT_EQ(Login("alice").Ask("SELECT count(*) FROM t").value, "1");
}

TEST_F(PostgresTest, AProcessThatHasALeftoversNumberLivesOn) {
  StartWithAlice();
  const std::string pid_file = ReadFile(data() + "/postmaster.pid");
  postgres_->Stop(absl::Seconds(20));
  const pid_t other = fork();
  if (other == 0) {
    execlp("runuser", "runuser", "-u", "postgres", "--", "sleep", "1000", nullptr);
    _exit(127);
  }
  WriteFile(data() + "/postmaster.pid", absl::StrCat(other, pid_file.substr(pid_file.find('\n'))));
  Start();
  EXPECT_EQ(waitpid(other, nullptr, WNOHANG), 0);
  kill(other, SIGTERM);
  waitpid(other, nullptr, 0);
}

TEST_F(PostgresTest, NothingOfARowReachesTheLog) {
  CaptureStderr();
  StartWithAlice();
  {
    Session alice = Login("alice");
    EXPECT_EQ(alice.Ask("CREATE TABLE t (secret text PRIMARY KEY, n int CHECK (n > 0))").error, "");
    EXPECT_EQ(alice.Ask("INSERT INTO t VALUES ('row-value', 1)").error, "");
    EXPECT_NE(alice.Ask("INSERT INTO t VALUES ('row-value', 1)").error.find("row-value"), std::string::npos);
    EXPECT_NE(alice.Ask("INSERT INTO t VALUES ('row-value-2', -1)").error, "");
    EXPECT_NE(alice.Ask("SELECT secret::int FROM t").error.find("row-value"), std::string::npos);
    alice.Ask("SET debug_print_parse = on; SET debug_print_plan = on; SELECT 'row-value' FROM t");
    alice.Ask("RESET ALL");
    alice.Ask("DO 'BEGIN RAISE WARNING ''row-value''; RAISE LOG ''row-value''; END'");
    EXPECT_NE(alice.Ask("SET log_min_messages = debug5").error, "");
    EXPECT_NE(alice.Ask("ALTER ROLE alice SET log_min_messages = debug5").error, "");
    alice.Send("SELECT pg_sleep(100), 'row-value'");
    const std::string backend = absl::StrCat(PQbackendPID(alice.get()));
    Session watcher = Login("alice");
    while (watcher.Ask("SELECT state FROM pg_stat_activity WHERE pid = " + backend).value != "active") {
    }
    kill(PQbackendPID(alice.get()), SIGKILL);  // PostgreSQL says which statement it was
    while (watcher.Ask("SELECT 1").error.empty()) {
    }
  }
  postgres_.reset();
  const std::string log = GetCapturedStderr();
  EXPECT_EQ(log.find("row-value"), std::string::npos) << log;
  EXPECT_EQ(log.find("SCRAM-SHA-256$"), std::string::npos) << log;
  EXPECT_NE(log.find("terminated by signal 9"), std::string::npos) << "the log says what the engine did:\n"
                                                                   << log;
}

TEST_F(PostgresTest, ALinkAtASettingsFileIsReplacedAndNotFollowed) {
  Start();
  postgres_->Stop(absl::Seconds(20));
  WriteFile(dir_.File("outside"), "as it was");
  std::filesystem::remove(data() + "/pg_hba.conf");
  symlink(dir_.File("outside").c_str(), (data() + "/pg_hba.conf").c_str());
  Start();
  EXPECT_EQ(ReadFile(dir_.File("outside")), "as it was");
}

TEST_F(PostgresTest, WhatIsMissingIsNamed) {
  PostgresOptions options = options_;
  options.user = "no-such-user";
  EXPECT_EQ(CauseOf(Postgres::Start(options, [] {}).status()), Cause::kNotFound);
  options = options_;
  options.bin_dir = "/nonexistent";
  const Status no_program = Postgres::Start(options, [] {}).status();
  EXPECT_EQ(CauseOf(no_program), Cause::kNotFound) << no_program;
  EXPECT_NE(no_program.message().find("/nonexistent/initdb"), std::string::npos) << no_program;
  options = options_;
  options.root = "/nonexistent";
  const Status no_root = Postgres::Start(options, [] {}).status();
  EXPECT_EQ(CauseOf(no_root), Cause::kUnavailable) << no_root;
  EXPECT_NE(no_root.message().find("/nonexistent"), std::string::npos) << no_root;
}

TEST_F(PostgresTest, ADirectoryThatCannotBeStartedIsAnErrorAndNoProcess) {
  Start();
  postgres_->Stop(absl::Seconds(20));
  WriteFile(data() + "/PG_VERSION", "9.6\n");
  const Status status = Postgres::Start(options_, [] {}).status();
  EXPECT_EQ(CauseOf(status), Cause::kUnavailable) << status;
  EXPECT_NE(status.message().find("exit 1"), std::string::npos) << status;
  EXPECT_TRUE(Processes().empty());
}

}  // namespace
}  // namespace keyhold::engine
