// The control socket as the agent's own client sees it, and as others try it.
#include "node/control_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "absl/time/clock.h"
#include "agent/http_client.h"
#include "tests/base/temp_dir.h"

namespace keyhold::node {
namespace {

using nlohmann::json;

class ControlSocketTest : public ::testing::Test {
 protected:
  ControlSocketTest() {
    handlers_.status = [this](uint64_t after, absl::Duration wait) {
      after_ = after;
      wait_ = wait;
      wire::NodeStatus status;
      status.version = after + 1;
      status.node_id = "n1";
      return status;
    };
    handlers_.desired = [this](const wire::DesiredNode& desired) {
      desired_ = desired;
      ++calls_;
      return verdict_;
    };
    handlers_.check = [this](const wire::KeySpec& spec,
                             const std::string& region) -> StatusOr<wire::CheckReport> {
      spec_ = spec;
      region_ = region;
      ++calls_;
      if (!verdict_.ok()) return verdict_;
      wire::CheckReport report;
      report.usable = true;
      report.steps.push_back({"kms:Encrypt", "PASS", "", "", 7});
      return report;
    };
    handlers_.stop = [this] { ++stops_; };
  }

  void Start() {
    socket_.reset();
    auto started = ControlSocket::Start(path_, handlers_);
    ASSERT_TRUE(started.ok()) << started.status();
    socket_ = *std::move(started);
  }
  StatusOr<json> Send(const std::string& method, const std::string& path,
                      const std::string& body = "") const {
    return agent::HttpClient::ForSocket(path_)->Send({method, path, body});
  }

  testing::TempDir dir_;
  std::string path_ = dir_.File("control.sock");
  ControlHandlers handlers_;
  Status verdict_;
  std::atomic<uint64_t> after_ = 0;
  absl::Duration wait_;
  wire::DesiredNode desired_;
  wire::KeySpec spec_;
  std::string region_;
  std::atomic<int> calls_ = 0;
  std::atomic<int> stops_ = 0;
  std::unique_ptr<ControlSocket> socket_;
};

TEST_F(ControlSocketTest, StatusIsAnsweredAtOnceOrWaitedFor) {
  Start();
  const auto now = Send("GET", "/status");
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(wire::NodeStatusFromJson(*now)->node_id, "n1");
  EXPECT_EQ(wait_, absl::ZeroDuration());
  const auto later = Send("GET", "/status?after=18446744073709551614");
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_EQ(after_, 18446744073709551614U);
  EXPECT_EQ(wait_, absl::Seconds(25));
  EXPECT_EQ(wire::NodeStatusFromJson(*later)->version, 18446744073709551615U);
}

TEST_F(ControlSocketTest, AnAfterThatIsNoNumberIsRefused) {
  Start();
  for (const char* after : {"x", "-1", "1.5", "", "18446744073709551616", "1%00"}) {
    EXPECT_EQ(CauseOf(Send("GET", std::string("/status?after=") + after).status()), Cause::kInvalidArgument)
        << after;
  }
}

TEST_F(ControlSocketTest, DesiredStateArrivesAsItWasSent) {
  Start();
  wire::DesiredNode desired;
  desired.generation = 7;
  desired.node_id = "n1";
  desired.cmek = wire::DesiredCmek{3, {"AWS_KMS", "arn:aws:kms:us-east-1:1:key/x", "role"}};
  desired.sql_users = {{"alice", "SCRAM-SHA-256$..."}};
  const auto answer = Send("PUT", "/desired", wire::ToJson(desired).dump());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, json::object());
  EXPECT_EQ(wire::ToJson(desired_), wire::ToJson(desired));
}

TEST_F(ControlSocketTest, ACheckAnswersItsReport) {
  Start();
  const wire::KeySpec spec{"AWS_KMS", "arn:aws:kms:us-east-1:1:key/x", "role"};
  nlohmann::json task = wire::ToJson(spec);
  task["region"] = "eu-west-1";
  const auto answer = Send("POST", "/check", task.dump());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(spec_, spec);
  EXPECT_EQ(region_, "eu-west-1");
  const auto report = wire::CheckReportFromJson(*answer);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->usable);
  ASSERT_EQ(report->steps.size(), 1U);
  EXPECT_EQ(report->steps[0].micros, 7);
}

TEST_F(ControlSocketTest, EveryCauseArrivesWithItsMessage) {
  Start();
  for (int i = 0; i <= static_cast<int>(Cause::kKmsCorrupt); ++i) {
    verdict_ = Error(static_cast<Cause>(i), "what is wrong: \"x\" \xff");
    for (const auto& [method, path, body] :
         {std::tuple("PUT", "/desired", wire::ToJson(wire::DesiredNode()).dump()),
          std::tuple("POST", "/check", wire::ToJson(wire::KeySpec()).dump())}) {
      const Status status = Send(method, path, body).status();
      EXPECT_EQ(CauseOf(status), static_cast<Cause>(i)) << path << status;
      EXPECT_EQ(status.message().substr(0, 18), "what is wrong: \"x\"") << path;
    }
  }
}

TEST_F(ControlSocketTest, BadBodiesAreRefusedAndReachNoOne) {
  Start();
  for (const std::string& body : {std::string(), std::string("{"), std::string("[]"), std::string("null"),
                                  std::string("7"), std::string("{\"generation\": \"x\", \"type\": 7}"),
                                  std::string("\xff\xfe"), std::string(100'000, '[')}) {
    EXPECT_EQ(CauseOf(Send("PUT", "/desired", body).status()), Cause::kInvalidArgument) << body.substr(0, 40);
    EXPECT_EQ(CauseOf(Send("POST", "/check", body).status()), Cause::kInvalidArgument) << body.substr(0, 40);
  }
  EXPECT_FALSE(Send("PUT", "/desired", std::string(5 << 20, ' ')).ok());
  EXPECT_EQ(calls_, 0);
  EXPECT_TRUE(Send("GET", "/status").ok());
}

TEST_F(ControlSocketTest, OtherPathsAndMethodsAreNotThere) {
  Start();
  for (const auto& [method, path] : {std::pair("GET", "/"),
                                     {"GET", "/stop"},
                                     {"POST", "/desired"},
                                     {"GET", "/../../etc/passwd"},
                                     {"PUT", "/status"}}) {
    EXPECT_EQ(CauseOf(Send(method, path, "{}").status()), Cause::kNotFound) << method << path;
  }
  EXPECT_EQ(stops_, 0);
}

TEST_F(ControlSocketTest, StopIsAnsweredAndHandedOn) {
  Start();
  EXPECT_TRUE(Send("POST", "/stop").ok());
  EXPECT_EQ(stops_, 1);
}

TEST_F(ControlSocketTest, AHandlerThatThrowsIsAnErrorAndNotTheEnd) {
  handlers_.desired = [](const wire::DesiredNode&) -> Status { throw std::runtime_error("secret detail"); };
  Start();
  const Status status = Send("PUT", "/desired", wire::ToJson(wire::DesiredNode()).dump()).status();
  EXPECT_EQ(CauseOf(status), Cause::kInternal) << status;
  EXPECT_TRUE(Send("GET", "/status").ok());
}

TEST_F(ControlSocketTest, IsItsOwnersAloneAndReplacesAStaleOne) {
  testing::WriteFile(path_, "left behind");
  Start();
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  socket_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlSocketTest, APathMayBeLongerThanASocketsAddress) {
  std::filesystem::create_directories(dir_.File(std::string(200, 'd')));
  path_ = dir_.File(std::string(200, 'd')) + "/control.sock";
  Start();
  EXPECT_TRUE(Send("GET", "/status").ok());
}

TEST_F(ControlSocketTest, ADirectoryThatIsNotThereIsNamed) {
  const auto started = ControlSocket::Start(dir_.File("missing/control.sock"), handlers_);
  EXPECT_EQ(ErrnoOf(started.status()), ENOENT);
  EXPECT_NE(started.status().message().find("missing"), std::string::npos) << started.status();
}

TEST_F(ControlSocketTest, MayEndAsSoonAsItHasStarted) {
  for (int i = 0; i < 200; ++i) Start();
}

// The agent keeps a poll open for its status, and whoever may open the socket may hold many.
TEST_F(ControlSocketTest, OpenPollsHoldUpNoOtherRequest) {
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
  int waiting = 0;
  handlers_.status = [&](uint64_t, absl::Duration) {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    changed.wait(lock, [&] { return over; });
    return wire::NodeStatus();
  };
  Start();
  std::vector<std::thread> polls;
  for (int i = 0; i < 4; ++i) {
    polls.emplace_back([this] { EXPECT_TRUE(Send("GET", "/status?after=1").ok()); });
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting == 4; });
  }
  EXPECT_TRUE(Send("PUT", "/desired", wire::ToJson(wire::DesiredNode()).dump()).ok());
  {
    const std::lock_guard lock(mutex);
    over = true;
    changed.notify_all();
  }
  for (std::thread& poll : polls) poll.join();
}

}  // namespace
}  // namespace keyhold::node
