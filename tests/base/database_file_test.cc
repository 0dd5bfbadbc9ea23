#include "base/database_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temp_dir.h"

namespace keyhold {
namespace {

class DatabaseFile : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(dir_.File(name)) << content;
  }
  Status Check() const { return CheckDatabaseKept(dir_.File("db"), dir_.File("witness")); }

  testing::TempDir dir_;
};

TEST_F(DatabaseFile, AFirstStartHasNeither) {
  EXPECT_TRUE(Check().ok());
  Write("db", "");
  EXPECT_TRUE(Check().ok()) << "cut off while it was made";
  Write("witness", "");
  EXPECT_TRUE(Check().ok());
}

TEST_F(DatabaseFile, LostOrEmptiedIsCorrupt) {
  Write("witness", "x");
  EXPECT_EQ(CauseOf(Check()), Cause::kCorrupt);
  Write("db", "");
  EXPECT_EQ(CauseOf(Check()), Cause::kCorrupt);
  EXPECT_NE(std::string(Check().message()).find(dir_.File("db") + " is missing or empty"), std::string::npos);
}

TEST_F(DatabaseFile, KeptInFileOrLog) {
  Write("witness", "x");
  Write("db-wal", "x");
  EXPECT_TRUE(Check().ok());
  std::filesystem::remove(dir_.File("db-wal"));
  Write("db", "x");
  EXPECT_TRUE(Check().ok());
}

}  // namespace
}  // namespace keyhold
