#include "app/host_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "app/address.h"
#include "app/env_file.h"
#include "tests/base/temp_dir.h"

namespace keyhold::app {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

std::string MessageOf(const Status& status) { return std::string(status.message()); }

TEST(HostDirTest, IsMadeForThisUserAloneAndOpensAgain) {
  const TempDir temp;
  const std::string dir = temp.File("a/b");
  for (int i = 0; i < 2; ++i) {
    const auto host = HostDir::Open(dir);
    ASSERT_TRUE(host.ok()) << host.status();
    EXPECT_EQ(host->path(), dir);
  }
  EXPECT_EQ(std::filesystem::status(dir).permissions(), std::filesystem::perms(0700));
  EXPECT_EQ(*ReadFile(dir + "/VERSION"), "keyhold 1\n");
}

TEST(HostDirTest, ASecondProcessIsToldWhoHasIt) {
  const TempDir temp;
  const std::string dir = temp.File("a");
  const auto host = HostDir::Open(dir);
  ASSERT_TRUE(host.ok());
  const auto second = HostDir::Open(dir);
  EXPECT_EQ(CauseOf(second.status()), Cause::kFailedPrecondition);
  EXPECT_THAT(MessageOf(second.status()), HasSubstr("pid " + std::to_string(getpid())));
  EXPECT_EQ(**HostDir::Holder(dir), getpid());
}

TEST(HostDirTest, NobodyHoldsAClosedOne) {
  const TempDir temp;
  const std::string dir = temp.File("a");
  { ASSERT_TRUE(HostDir::Open(dir).ok()); }
  EXPECT_EQ(*HostDir::Holder(dir), std::nullopt);
  EXPECT_EQ(CauseOf(HostDir::Holder(temp.File("other")).status()), Cause::kNotFound);
}

TEST(HostDirTest, NewerDamagedAndForeignDirectoriesAreRefusedUnchanged) {
  const TempDir temp;
  const std::string dir = temp.path();
  std::ofstream(dir + "/VERSION") << "keyhold 2\n";
  EXPECT_THAT(MessageOf(HostDir::Open(dir).status()), HasSubstr("another version"));
  std::ofstream(dir + "/VERSION") << "\x01garbage";
  EXPECT_THAT(MessageOf(HostDir::Open(dir).status()), HasSubstr("damaged"));
  std::filesystem::rename(dir + "/VERSION", dir + "/holiday.jpg");
  EXPECT_THAT(MessageOf(HostDir::Open(dir).status()), HasSubstr("not Keyhold's"));
  EXPECT_FALSE(std::filesystem::exists(dir + "/VERSION"));
  EXPECT_FALSE(std::filesystem::exists(dir + "/nodes"));
}

// What another user of the host may have put there before us.
class PlantedTest : public ::testing::Test {
 protected:
  static constexpr uid_t kOther = 65534;

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "makes files of another user, and so takes root";
  }
  // Opening `dir` is refused, with `why`, and makes nothing in it.
  void Refused(const std::string& dir, const std::string& why) {
    const Status status = HostDir::Open(dir).status();
    EXPECT_EQ(CauseOf(status), Cause::kFailedPrecondition);
    EXPECT_THAT(MessageOf(status), HasSubstr(why));
    EXPECT_FALSE(std::filesystem::exists(dir + "/VERSION"));
    EXPECT_FALSE(std::filesystem::exists(dir + "/LOCK"));
  }
  std::string Made(const std::string& name, mode_t mode, uid_t owner) {
    const std::string dir = temp_.File(name);
    EXPECT_EQ(mkdir(dir.c_str(), 0700), 0);
    EXPECT_EQ(chmod(dir.c_str(), mode), 0);
    EXPECT_EQ(lchown(dir.c_str(), owner, owner), 0);
    return dir;
  }
  std::string Linked(const std::string& to, const std::string& at, uid_t owner) {
    EXPECT_EQ(symlink(to.c_str(), at.c_str()), 0);
    EXPECT_EQ(lchown(at.c_str(), owner, owner), 0);
    return at;
  }

  const TempDir temp_;
};

TEST_F(PlantedTest, ADirectoryOfAnotherUserIsRefused) {
  Refused(Made("theirs", 0700, kOther), "belongs to another user (uid 65534)");
}

TEST_F(PlantedTest, ADirectoryThatOthersMayWriteToIsRefused) {
  Refused(Made("group", 0770, 0), "may be written to by other users");
  Refused(Made("all", 01777, 0), "chmod 700");
}

TEST_F(PlantedTest, ALinkOfAnotherUserIsRefusedAndOneOfOursIsNot) {
  const std::string target = Made("target", 0700, 0);
  Refused(Linked(target, temp_.File("link"), kOther), "belongs to another user");
  EXPECT_TRUE(HostDir::Open(Linked(target, temp_.File("ours"), 0)).ok());
}

TEST_F(PlantedTest, ALinkInPlaceOfAFolderOrALockIsRefusedAndNotFollowed) {
  const std::string elsewhere = Made("elsewhere", 0700, 0);
  const std::string dir = temp_.File("kh");
  ASSERT_TRUE(HostDir::Open(dir).ok());
  for (const char* name : {"log", "nodes", "server", "agent"}) {
    const std::string path = dir + "/" + name;
    ASSERT_EQ(rmdir(path.c_str()), 0);
    Linked(elsewhere, path, kOther);
    EXPECT_EQ(CauseOf(HostDir::Open(dir).status()), Cause::kFailedPrecondition) << name;
    ASSERT_EQ(unlink(path.c_str()), 0);
  }
  testing::WriteFile(elsewhere + "/shadow", "root:");
  ASSERT_EQ(unlink((dir + "/LOCK").c_str()), 0);
  Linked(elsewhere + "/shadow", dir + "/LOCK", kOther);
  EXPECT_FALSE(HostDir::Open(dir).ok());
  EXPECT_EQ(*ReadFile(elsewhere + "/shadow"), "root:");
}

TEST_F(PlantedTest, ALinkInPlaceOfAFileIsReplacedAndNotFollowed) {
  const std::string elsewhere = Made("elsewhere", 0700, 0) + "/shadow";
  testing::WriteFile(elsewhere, "root:");
  for (const char* name : {"/env.sh", "/env.sh.new"}) Linked(elsewhere, temp_.path() + name, kOther);
  ASSERT_TRUE(WriteFile(temp_.File("env.sh"), "ours", 0600).ok());
  EXPECT_EQ(*ReadFile(temp_.File("env.sh")), "ours");
  EXPECT_EQ(*ReadFile(elsewhere), "root:");
}

TEST(HostDirTest, OneThatOthersCouldReadIsClosedToThem) {
  const TempDir temp;
  ASSERT_EQ(chmod(temp.path().c_str(), 0755), 0);
  ASSERT_TRUE(HostDir::Open(temp.path()).ok());
  EXPECT_EQ(std::filesystem::status(temp.path()).permissions(), std::filesystem::perms(0700));
}

TEST(HostDirTest, AddressesAreKept) {
  const TempDir temp;
  const auto host = HostDir::Open(temp.File("a"));
  ASSERT_TRUE(host.ok());
  EXPECT_TRUE(host->Addresses()->empty());
  const std::map<std::string, std::string> addresses = {{"api", "127.0.0.1:1"}};
  ASSERT_TRUE(host->SetAddresses(addresses).ok());
  EXPECT_EQ(*host->Addresses(), addresses);
  std::ofstream(host->Path("addresses.json")) << "{\"api\": 1}";
  EXPECT_EQ(CauseOf(host->Addresses().status()), Cause::kCorrupt);
}

TEST(AddressTest, OnlyAddressAndPortWillDo) {
  for (const char* bad :
       {"", "8080", ":8080", "localhost:8080", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "1.2.3:5:6"}) {
    EXPECT_EQ(CauseOf(CheckFree(bad)), Cause::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(CheckFree("127.0.0.1:0").ok());
  EXPECT_TRUE(CheckFree("[::1]:0").ok());
  EXPECT_EQ(CauseOf(CheckFree("192.0.2.1:1")), Cause::kUnavailable);
}

class EnvTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir_.File("localcloud"));
    std::filesystem::create_directories(dir_.File("server"));
    std::ofstream(dir_.File("localcloud/customer.json"))
        << R"({"aws":{"access_key_id":"AKIA","secret_access_key":"it's secret","region":"eu-west-1"},
               "gcp":{"project":"customer-1","key_file":"/k.json","access_token_file":"/t"},
               "azure":{"tenant_id":"T","client_id":"C","client_secret":"S","subscription_id":"U",
                        "resource_group":"G","vault":"V"}})";
    std::ofstream(dir_.File("localcloud/principals.json"))
        << R"({"aws":{"principal_arn":"arn:x"},"gcp":{"service_account":"k@p.iam.gserviceaccount.com"},
               "azure":{"principal_id":"P","client_id":"PC","tenant_id":"T"}})";
    std::ofstream(dir_.File("server/api-key")) << "CCDB1_k\n";
  }
  StatusOr<std::string> Text() { return EnvText({dir_.path(), "0.0.0.0:80", "[::]:81", "/a b/bin"}); }

  const TempDir dir_;
};

TEST_F(EnvTest, AShellReadsBackEveryValue) {
  const auto text = Text();
  ASSERT_TRUE(text.ok()) << text.status();
  std::ofstream(dir_.File("env.sh")) << *text;
  const std::string command = "sh -ec '. " + dir_.File("env.sh") + "; . " + dir_.File("env.sh") +
                              "; echo "
                              "\"$COCKROACH_SERVER|$COCKROACH_API_KEY|$HTTPS_PROXY|$AWS_SECRET_ACCESS_KEY|$"
                              "AWS_REGION|$KEYHOLD_AWS_PRINCIPAL_ARN|$CLOUDSDK_CORE_PROJECT|$"
                              "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE|$GOOGLE_APPLICATION_CREDENTIALS|$"
                              "KEYHOLD_GCP_SERVICE_ACCOUNT|$PATH\"'";
  FILE* pipe = popen(("PATH=/usr/bin:/bin " + command).c_str(), "r");
  char line[1024] = {};
  ASSERT_NE(fgets(line, sizeof(line), pipe), nullptr);
  EXPECT_EQ(pclose(pipe), 0);
  EXPECT_EQ(std::string(line),
            "http://127.0.0.1:80|CCDB1_k|http://[::1]:81|it's secret|eu-west-1|arn:x|customer-1|/t|/k.json|"
            "k@p.iam.gserviceaccount.com|/a b/bin:/usr/bin:/bin\n");
}

TEST_F(EnvTest, ADamagedFileIsNamed) {
  std::ofstream(dir_.File("localcloud/customer.json")) << "{";
  EXPECT_THAT(MessageOf(Text().status()), HasSubstr("customer.json is damaged"));
  std::filesystem::remove(dir_.File("localcloud/customer.json"));
  EXPECT_EQ(CauseOf(Text().status()), Cause::kNotFound);
}

}  // namespace
}  // namespace keyhold::app
