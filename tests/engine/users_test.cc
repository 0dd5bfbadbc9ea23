// SQL users as roles: made, changed, dropped; what a user of theirs can do against it.
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "tests/engine/fixture.h"

namespace keyhold::engine {
namespace {

class Users : public EngineTest {
 protected:
  void SetUp() override { Start(); }
  // The test fails unless `users` were applied.
  void Apply(const std::vector<SqlUser>& users) {
    const Status status = postgres_->ApplyUsers(users);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string Roles() const {
    return AsSuperuser("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1;");
  }
};

TEST_F(Users, AreMadeChangedAndDropped) {
  Apply({{"alice", kVerifier}, {"bob", kOtherVerifier}});
  EXPECT_EQ(Login("alice").Ask("SELECT 1").value, "1");
  EXPECT_NE(Login("alice", kOtherPassword).Ask("SELECT 1").error, "");
  EXPECT_EQ(Login("bob", kOtherPassword).Ask("CREATE TABLE t (i int)").error, "");

  Apply({{"alice", kOtherVerifier}, {"bob", kOtherVerifier}});
  EXPECT_EQ(Login("alice", kOtherPassword).Ask("SELECT 1").value, "1");
  EXPECT_NE(Login("alice").Ask("SELECT 1").error, "");

  Session open = Login("bob", kOtherPassword);
  EXPECT_EQ(open.Ask("CREATE DATABASE bobs").error, "");
  Apply({{"alice", kOtherVerifier}});
  EXPECT_NE(open.Ask("SELECT 1").error, "") << "a dropped user's session goes on";
  EXPECT_EQ(Roles(), "admin\nalice\nkeyhold\n");
  EXPECT_EQ(AsSuperuser("SELECT tableowner FROM pg_tables WHERE tablename = 't';", "defaultdb"), "admin\n");
  EXPECT_EQ(
      AsSuperuser("SELECT rolname FROM pg_database d, pg_roles r WHERE datname = 'bobs' AND datdba = r.oid;"),
      "admin\n");
}

TEST_F(Users, ThatAreAsWantedAreNotTouched) {
  Apply({{"alice", kVerifier}});
  const std::string versions = "SELECT xmin FROM pg_authid WHERE rolname = 'alice';";
  const std::string before = AsSuperuser(versions);
  Apply({{"alice", kVerifier}});
  EXPECT_EQ(AsSuperuser(versions), before);
}

TEST_F(Users, MayHaveAnyCharacterInTheirNames) {
  const std::string name = "a'l\"i\\c;e :x\n--%I";
  Apply({{name, kVerifier}});
  EXPECT_EQ(Login(name).Ask("SELECT 1").value, "1");
  Apply({});
  EXPECT_EQ(Roles(), "admin\nkeyhold\n");
}

TEST_F(Users, WithTheSystemsNamesOrWithoutAVerifierAreRefused) {
  Apply({{"alice", kVerifier}});
  const std::string long_name(64, 'a');
  for (const std::string& name :
       {std::string("keyhold"), std::string("admin"), std::string("postgres"), std::string("public"),
        std::string("none"), std::string("pg_monitor"), std::string(), long_name, std::string("a\0b", 3)}) {
    EXPECT_EQ(CauseOf(postgres_->ApplyUsers({{"carol", kVerifier}, {name, kVerifier}})),
              Cause::kInvalidArgument)
        << name;
  }
  for (const std::string& verifier :
       {std::string(), std::string(kPassword), std::string("md5"), std::string("SCRAM-SHA-256$"),
        std::string(kVerifier) + "'", std::string(kVerifier) + "\n", std::string("SCRAM-SHA-256$4096:a$b:c"),
        std::string(kVerifier).substr(0, 100)}) {
    EXPECT_EQ(CauseOf(postgres_->ApplyUsers({{"carol", verifier}})), Cause::kInvalidArgument) << verifier;
  }
  EXPECT_EQ(Roles(), "admin\nalice\nkeyhold\n") << "a refused list changes nothing";
}

TEST_F(Users, LeaveRolesMadeInSqlAlone) {
  Apply({{"alice", kVerifier}});
  EXPECT_EQ(Login("alice").Ask("CREATE ROLE app").error, "");
  Apply({});
  EXPECT_EQ(Roles(), "admin\napp\nkeyhold\n");
}

TEST_F(Users, CannotReachTheSuperuser) {
  Apply({{"alice", kVerifier}});
  EXPECT_NE(Login("keyhold").Ask("SELECT 1").error, "") << "root, as the gateway is, was let in";
  Session alice = Login("alice");
  EXPECT_NE(alice.Ask("ALTER ROLE alice SUPERUSER").error, "");
  EXPECT_NE(alice.Ask("GRANT keyhold TO alice").error, "");
  EXPECT_NE(alice.Ask("SET ROLE keyhold").error, "");
  EXPECT_NE(alice.Ask("ALTER ROLE keyhold PASSWORD 'x'").error, "");
  EXPECT_NE(alice.Ask("ALTER SYSTEM SET log_statement = 'all'").error, "");
}

// CREATEROLE of PostgreSQL 15 grants any role that is not a superuser, and these run programs and read and
// write files as PostgreSQL's user, outside the mount: the superuser in other words, of every node of a host.
TEST_F(Users, CannotReachFilesOrProgramsOfTheHost) {
  Apply({{"alice", kVerifier}});
  Session alice = Login("alice");
  for (const char* role : {"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"}) {
    EXPECT_NE(alice.Ask(std::string("GRANT ") + role + " TO alice").error, "") << role;
    EXPECT_NE(alice.Ask(std::string("CREATE ROLE x IN ROLE ") + role).error, "") << role;
    EXPECT_NE(alice.Ask(std::string("SET ROLE ") + role).error, "") << role;
  }
  EXPECT_NE(alice.Ask("COPY (SELECT 1) TO PROGRAM 'cat'").error, "");
  EXPECT_NE(alice.Ask("COPY (SELECT 1) TO '/tmp/keyhold-outside'").error, "");
  EXPECT_NE(alice.Ask("SELECT pg_read_file('/etc/passwd')").error, "");
}

TEST_F(Users, ThatWereGivenFilesOrProgramsLoseThemAtTheNextStart) {
  Apply({{"alice", kVerifier}});
  AsSuperuser(
      "UPDATE pg_authid SET rolsuper = false WHERE rolname = 'pg_execute_server_program';"
      "GRANT pg_execute_server_program TO alice;");
  EXPECT_EQ(Login("alice").Ask("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'").error, "");
  Start();
  EXPECT_NE(Login("alice").Ask("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'").error, "");
}

// A user may make roles and databases of any name, and set what a session of a database starts
// with.
TEST_F(Users, AreDroppedWhateverTheyHaveMade) {
  Apply({{"alice", kVerifier}, {"carol", kVerifier}, {"mallory", kVerifier}});
  Session mallory = Login("mallory");
  for (const char* sql :
       {"ALTER ROLE carol RENAME TO \"x\nkeyhold\nadmin\"", "CREATE DATABASE \"host=/nonexistent dbname=x\"",
        "CREATE DATABASE \"new\nline\"", "CREATE DATABASE \"it's \\ \"\"quoted\"\"\"",
        "CREATE DATABASE readonly", "ALTER DATABASE readonly SET default_transaction_read_only = on",
        "ALTER DATABASE readonly SET role = 'mallory'",
        "ALTER DATABASE readonly SET statement_timeout = 1"}) {
    EXPECT_EQ(mallory.Ask(sql).error, "") << sql;
  }
  for (const char* database : {"host=/nonexistent dbname=x", "new\nline", "it's \\ \"quoted\"", "readonly"}) {
    Session session = Login("mallory", kPassword, database);
    EXPECT_EQ(
        session.Ask("SET statement_timeout = 0; BEGIN READ WRITE; CREATE TABLE mine (i int); COMMIT").error,
        "")
        << database;
  }
  // What takes longer than a call may is left to the next one, which goes on.
  for (int i = 0; i < 10 && (i == 0 || Roles() != "admin\nalice\nkeyhold\n"); ++i)
    Apply({{"alice", kVerifier}});
  EXPECT_EQ(Roles(), "admin\nalice\nkeyhold\n");
  Apply({{"alice", kVerifier}, {"carol", kVerifier}});
  EXPECT_EQ(Login("carol").Ask("SELECT 1").value, "1");
}

TEST_F(Users, CannotHideFromTheirRemovalOrHaveOthersRemoved) {
  Apply({{"alice", kVerifier}, {"mallory", kVerifier}});
  Session mallory = Login("mallory", kPassword, "postgres");
  EXPECT_EQ(
      mallory.Ask("CREATE ROLE app; COMMENT ON ROLE app IS 'keyhold'; COMMENT ON ROLE mallory IS ''").error,
      "");
  EXPECT_NE(mallory.Ask("DELETE FROM keyhold.sql_users").error, "");
  EXPECT_NE(mallory.Ask("SELECT * FROM keyhold.sql_users").error, "");
  Start();
  Apply({{"alice", kVerifier}});
  EXPECT_EQ(Roles(), "admin\nalice\napp\nkeyhold\n");
}

TEST_F(Users, ThatAUserDroppedAreMadeAgainAndForgotten) {
  Apply({{"alice", kVerifier}, {"bob", kVerifier}});
  EXPECT_EQ(Login("alice").Ask("DROP ROLE bob").error, "");
  Apply({{"alice", kVerifier}, {"bob", kVerifier}});
  EXPECT_EQ(Login("bob").Ask("SELECT 1").value, "1");
  EXPECT_EQ(AsSuperuser("SELECT count(*) FROM keyhold.sql_users;"), "2\n");
}

TEST_F(Users, OfAClusterThatMarkedThemByACommentAreStillOurs) {
  Apply({{"alice", kVerifier}, {"bob", kVerifier}});
  AsSuperuser("DROP SCHEMA keyhold CASCADE; COMMENT ON ROLE bob IS 'keyhold';");
  Start();
  Apply({{"alice", kVerifier}});
  EXPECT_EQ(Roles(), "admin\nalice\nkeyhold\n");
}

// The node waits for this call, and proves its key again only afterwards.
TEST_F(Users, ASessionThatLocksARoleHoldsTheCallUpForAMomentOnly) {
  Apply({{"alice", kVerifier}, {"mallory", kVerifier}});
  Session mallory = Login("mallory");
  EXPECT_EQ(mallory.Ask("BEGIN; ALTER ROLE alice CONNECTION LIMIT 50").error, "");
  const absl::Time before = absl::Now();
  const Status status = postgres_->ApplyUsers({{"alice", kOtherVerifier}, {"mallory", kVerifier}});
  EXPECT_LT(absl::Now() - before, absl::Seconds(3));
  EXPECT_TRUE(IsTransient(CauseOf(status))) << status;
  EXPECT_EQ(mallory.Ask("ROLLBACK").error, "");
  Apply({{"alice", kOtherVerifier}, {"mallory", kVerifier}});
  EXPECT_EQ(Login("alice", kOtherPassword).Ask("SELECT 1").value, "1");
}

TEST_F(Users, OneWhoseTablesAreLockedIsShutOutAtOnceAndDroppedLater) {
  Apply({{"alice", kVerifier}, {"mallory", kVerifier}});
  EXPECT_EQ(Login("mallory").Ask("CREATE TABLE t (i int); GRANT ALL ON t TO alice").error, "");
  Session alice = Login("alice");
  EXPECT_EQ(alice.Ask("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").error, "");
  const absl::Time before = absl::Now();
  Apply({{"alice", kVerifier}});
  EXPECT_LT(absl::Now() - before, absl::Seconds(5));
  EXPECT_NE(Login("mallory").Ask("SELECT 1").error, "");
  EXPECT_EQ(alice.Ask("COMMIT").error, "");
  Apply({{"alice", kVerifier}});
  EXPECT_EQ(Roles(), "admin\nalice\nkeyhold\n");
}

}  // namespace
}  // namespace keyhold::engine
