#include "app/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/time/clock.h"
#include "tests/base/temp_dir.h"

namespace keyhold::app {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class SupervisorTest : public ::testing::Test {
 protected:
  ChildSpec Shell(const std::string& script) const {
    ChildSpec spec{"child", {"/bin/sh", "-c", script}, {{"PATH", "/usr/bin:/bin"}}, dir_.File("log")};
    spec.stop_timeout = absl::Seconds(5);
    return spec;
  }

  const testing::TempDir dir_;
  std::unique_ptr<Supervisor> supervisor_ = *Supervisor::Create();
};

TEST_F(SupervisorTest, AReadyChildTellsItsAddress) {
  const auto address = supervisor_->Start(Shell("echo ready 127.0.0.1:5; exec sleep 100"));
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(*address, "127.0.0.1:5");
}

TEST_F(SupervisorTest, AFailingChildIsQuoted) {
  const auto address = supervisor_->Start(Shell("echo 'failed the port is busy'; exit 1"));
  EXPECT_EQ(CauseOf(address.status()), Cause::kUnavailable);
  EXPECT_EQ(std::string(address.status().message()), "child: the port is busy");
}

TEST_F(SupervisorTest, AChildThatDiesWithoutAWordPointsToItsLog) {
  const auto address = supervisor_->Start(Shell("echo lost >&2; kill -9 $$"));
  EXPECT_THAT(std::string(address.status().message()), HasSubstr("it died; see " + dir_.File("log")));
  EXPECT_EQ(testing::ReadFile(dir_.File("log")), "lost\n");
}

TEST_F(SupervisorTest, AMissingProgramIsNamed) {
  ChildSpec spec = Shell("");
  spec.arguments = {"/nowhere/program"};
  EXPECT_THAT(std::string(supervisor_->Start(spec).status().message()),
              HasSubstr("/nowhere/program cannot be run"));
}

// The child dies twice, and at its third life asks its parent to stop.
TEST_F(SupervisorTest, ADeadChildIsStartedAgainAndSigtermEndsTheWatch) {
  const std::string lives = dir_.File("lives");
  const std::string script = "echo x >> " + lives + "; echo ready; [ $(wc -l < " + lives +
                             ") = 3 ] && kill -TERM $PPID && exec sleep 100; exit 1";
  ASSERT_TRUE(supervisor_->Start(Shell(script)).ok());
  supervisor_->Watch();
  EXPECT_EQ(testing::ReadFile(lives), "x\nx\nx\n");
}

TEST_F(SupervisorTest, ChildrenEndTheLastFirstAndTheStubbornAreKilled) {
  const std::string ends = dir_.File("ends");
  const auto polite = [&](const std::string& name) {
    return Shell("trap 'echo " + name + " >> " + ends +
                 "; kill $!; exit 0' TERM; sleep 100 & echo ready; wait");
  };
  ASSERT_TRUE(supervisor_->Start(polite("first")).ok());
  ASSERT_TRUE(supervisor_->Start(polite("second")).ok());
  ChildSpec stubborn = Shell("trap '' TERM; echo ready; exec sleep 100");
  stubborn.stop_timeout = absl::Milliseconds(100);
  ASSERT_TRUE(supervisor_->Start(stubborn).ok());
  const absl::Time start = absl::Now();
  supervisor_->StopAll();
  EXPECT_LT(absl::Now() - start, absl::Seconds(4));
  EXPECT_EQ(testing::ReadFile(ends), "second\nfirst\n");
}

TEST_F(SupervisorTest, ChildrenGetTheirEnvironmentAndNothingElse) {
  ChildSpec spec = Shell(
      "echo \"ready $(env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort | tr '\\n' ' ')\"; exec sleep 100");
  setenv("SECRET_OF_THE_PARENT", "1", 1);
  EXPECT_EQ(*supervisor_->Start(spec), "PATH=/usr/bin:/bin ");
}

}  // namespace
}  // namespace keyhold::app
