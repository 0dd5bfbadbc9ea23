// The steps of the local cloud's database from one format to the next.
#include "localcloud/database.h"

#include <soci/sqlite3/soci-sqlite3.h>

#include "localcloud/sql.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  // Runs SQL on the file as a program of another version would have.
  void Execute(const std::string& statement) {
    soci::session sql(soci::sqlite3, "db=" + path_);
    sql << statement;
  }
  int Pragma(const std::string& name) {
    soci::session sql(soci::sqlite3, "db=" + path_);
    int value = 0;
    sql << "PRAGMA " << name, soci::into(value);
    return value;
  }

  // As format 2 had it: one access key and one policy in the user's own row.
  void BackToFormat2() {
    for (const char* table : {"accounts", "access_keys", "user_policies", "users"})
      Execute(std::string("DROP TABLE ") + table);
    Execute(
        "CREATE TABLE users (account_id TEXT NOT NULL, name TEXT NOT NULL, user_id TEXT NOT NULL, "
        "access_key_id TEXT NOT NULL UNIQUE, sealed_secret TEXT NOT NULL, policy TEXT NOT NULL, PRIMARY KEY "
        "(account_id, name))");
    Execute("PRAGMA user_version = 2");
  }
  std::string Read(const std::string& query) {
    soci::session sql(soci::sqlite3, "db=" + path_);
    std::string text;
    sql << query, soci::into(text);
    return text;
  }

  const TempDir dir_;
  const std::string path_ = dir_.path() + "/cloud.db";
};

TEST_F(DatabaseTest, OneOfAnOlderFormatIsBroughtUpAndKeepsItsRows) {
  ASSERT_TRUE(Database::Open(path_).ok());
  BackToFormat2();
  // As format 1 left it: without Google's tables too.
  for (const char* table :
       {"gcp_projects", "gcp_accounts", "gcp_account_keys", "gcp_key_rings", "gcp_keys", "gcp_versions"}) {
    Execute(std::string("DROP TABLE ") + table);
  }
  Execute("INSERT INTO aliases VALUES ('us-east-1', '1', 'alias/kept', 'k', 1, 1)");
  Execute("PRAGMA user_version = 1");
  const auto opened = Database::Open(path_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  int kept = 0, projects = -1;
  const Status read = (*opened)->Transact([&](soci::session& sql) {
    sql << "SELECT count(*) FROM aliases WHERE name = 'alias/kept'", soci::into(kept);
    sql << "SELECT count(*) FROM gcp_projects", soci::into(projects);
    return OkStatus();
  });
  EXPECT_TRUE(read.ok()) << read;
  EXPECT_EQ(kept, 1);
  EXPECT_EQ(projects, 0);
  EXPECT_EQ(Pragma("user_version"), kDatabaseVersion);
}

TEST_F(DatabaseTest, AUserOfFormat2KeepsItsKeyAndItsPolicy) {
  ASSERT_TRUE(Database::Open(path_).ok());
  BackToFormat2();
  Execute("INSERT INTO users VALUES ('111122223333', 'admin', 'AIDA1', 'AKIA1', 'sealed', '{}')");
  ASSERT_TRUE(Database::Open(path_).ok());
  EXPECT_EQ(Read("SELECT account_id || owner FROM accounts"), "111122223333admin");
  EXPECT_EQ(Read("SELECT account_id || name || path || user_id FROM users WHERE created > 1700000000"),
            "111122223333admin/AIDA1");
  EXPECT_EQ(Read("SELECT access_key_id || account_id || user || sealed_secret || status FROM access_keys"),
            "AKIA1111122223333adminsealedActive");
  EXPECT_EQ(Read("SELECT account_id || user || name || document FROM user_policies"),
            "111122223333admindefault{}");
}

TEST_F(DatabaseTest, OneOfANewerFormatIsRefusedAndLeftAlone) {
  ASSERT_TRUE(Database::Open(path_).ok());
  Execute("PRAGMA user_version = 99");
  const auto opened = Database::Open(path_);
  EXPECT_EQ(CauseOf(opened.status()), Cause::kCorrupt);
  EXPECT_EQ(Pragma("user_version"), 99);
}

TEST_F(DatabaseTest, AnotherProgramsFileIsRefused) {
  Execute("CREATE TABLE notes (text TEXT)");
  EXPECT_EQ(CauseOf(Database::Open(path_).status()), Cause::kCorrupt);
  EXPECT_EQ(Pragma("application_id"), 0);
}

}  // namespace
}  // namespace keyhold::localcloud
