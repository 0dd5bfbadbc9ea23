// The program as its user runs it: start, a second start, stop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>

#include "app/host_dir.h"
#include "tests/base/temp_dir.h"

namespace keyhold::app {
namespace {

using ::testing::HasSubstr;

struct Ran {
  int code;
  std::string output;  // stdout and stderr
};

Ran Keyhold(const std::string& arguments, const std::string& before = "") {
  FILE* pipe = popen((before + KEYHOLD_PROGRAM + " " + arguments + " 2>&1").c_str(), "r");
  Ran ran;
  char chunk[4096];
  while (const size_t size = fread(chunk, 1, sizeof(chunk), pipe)) ran.output.append(chunk, size);
  ran.code = WEXITSTATUS(pclose(pipe));
  return ran;
}

class StartTest : public ::testing::Test {
 protected:
  ~StartTest() override { Keyhold("stop --dir " + dir_); }

  const testing::TempDir temp_;
  const std::string dir_ = temp_.File("host");
};

TEST_F(StartTest, StartsOnceGoesOnWithTheSamePortsAndStops) {
  const Ran first = Keyhold("start --background --dir " + dir_);
  ASSERT_EQ(first.code, 0) << first.output;
  EXPECT_THAT(first.output, HasSubstr("\nready (pid "));
  const std::string env = *ReadFile(dir_ + "/env.sh");

  const Ran again = Keyhold("start --background --dir " + dir_);
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.output, HasSubstr("is in use by keyhold start, pid "));

  EXPECT_THAT(Keyhold("stop --dir " + dir_).output, HasSubstr("stopped"));
  EXPECT_EQ(*HostDir::Holder(dir_), std::nullopt);
  EXPECT_THAT(Keyhold("stop --dir " + dir_).output, HasSubstr("nothing runs"));

  ASSERT_EQ(Keyhold("start --background --dir " + dir_).code, 0);
  EXPECT_EQ(*ReadFile(dir_ + "/env.sh"), env);
}

// Clients could use up what a shell gives at first.
TEST_F(StartTest, ServicesMayOpenAsManyFilesAsTheHostAllows) {
  ASSERT_EQ(Keyhold("start --background --dir " + dir_, "ulimit -Sn 1000; ").code, 0);
  const std::string pid = std::to_string(**HostDir::Holder(dir_));
  std::istringstream children(testing::ReadFile("/proc/" + pid + "/task/" + pid + "/children"));
  int services = 0;
  for (std::string child; children >> child; ++services) {
    std::istringstream limits(testing::ReadFile("/proc/" + child + "/limits"));
    std::string line;
    while (std::getline(limits, line) && !line.starts_with("Max open files")) {
    }
    std::string words[5];
    std::istringstream fields(line);
    for (std::string& word : words) fields >> word;
    EXPECT_EQ(words[3], words[4]) << line;
    EXPECT_NE(words[3], "1000") << line;
  }
  EXPECT_EQ(services, 3);
}

TEST_F(StartTest, AKilledStartCanBeStartedAgainAtOnce) {
  ASSERT_EQ(Keyhold("start --background --dir " + dir_).code, 0);
  const std::string env = *ReadFile(dir_ + "/env.sh");
  ASSERT_EQ(kill(**HostDir::Holder(dir_), SIGKILL), 0);
  const Ran again = Keyhold("start --background --dir " + dir_);
  ASSERT_EQ(again.code, 0) << again.output;
  EXPECT_EQ(*ReadFile(dir_ + "/env.sh"), env);
}

TEST_F(StartTest, MountRefusesBadKeySpecsAndMountsNothing) {
  const std::string mount = "mount " + temp_.File("store") + " " + temp_.path() + " --cmek-key-spec ";
  for (const char* spec : {"'{'", "'{\"type\":\"NULL_KMS\",\"uri\":\"\"}'", "@/nowhere"}) {
    EXPECT_EQ(Keyhold(mount + spec).code, 1) << spec;
  }
  EXPECT_FALSE(std::filesystem::exists(temp_.File("store")));
  EXPECT_THAT(Keyhold("umount " + temp_.path()).output, HasSubstr("nothing is mounted"));
}

TEST_F(StartTest, ABusyPortIsNamedWithItsFlag) {
  ASSERT_EQ(Keyhold("start --background --dir " + dir_).code, 0);
  const std::string api = testing::ReadFile(dir_ + "/addresses.json");
  const std::string address =
      api.substr(api.find("127.0.0.1"), api.find('"', api.find("127.0.0.1")) - api.find("127.0.0.1"));
  const Ran other = Keyhold("start --background --api-listen " + address + " --dir " + temp_.File("other"));
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.output, HasSubstr("--api-listen: " + address + " is in use"));
  EXPECT_EQ(*HostDir::Holder(temp_.File("other")), std::nullopt);
}

TEST_F(StartTest, WrongCommandLinesExitTwo) {
  for (const char* arguments : {"", "start", "begin", "start --dir /tmp/x --probe-interval 0s",
                                "start --dir /tmp/x --probe-interval soon"}) {
    EXPECT_EQ(Keyhold(arguments).code, 2) << arguments;
  }
  EXPECT_EQ(Keyhold("--help").code, 0);
}

TEST_F(StartTest, AForeignDirectoryIsRefused) {
  std::ofstream(temp_.File("something")) << "x";
  const Ran ran = Keyhold("start --dir " + temp_.path());
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("is not Keyhold's"));
}

}  // namespace
}  // namespace keyhold::app
