// The agent with real processes, against a real server: start, adopt, restart, forward, check, stop, remove.
#include "agent/agent.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "agent/process.h"
#include "tests/api/api_fixture.h"

namespace keyhold::agent {
namespace {

using api::kKey1;
using api::RegionSpecs;
using nlohmann::json;

class AgentTest : public api::ApiTest {
 protected:
  void TearDown() override {
    if (agent_process_ != nullptr) agent_process_->Stop(NodesFate::kStop);
    agent_process_.reset();
    StopAll();
  }

  void StartHostAgent() {
    AgentOptions options;
    options.dir = dir_.path();
    options.server_url = "http://127.0.0.1:" + std::to_string(port());
    options.token_path = dir_.path() + "/server/agent-token";
    options.node_command = {KEYHOLD_FAKE_NODE, "node"};
    options.node_environment = {{"PATH", "/usr/bin:/bin"}};
    options.first_sql_port = 27100;
    auto agent = Agent::Start(options);
    ASSERT_TRUE(agent.ok()) << agent.status();
    agent_process_ = *std::move(agent);
  }

  std::string CreateServing(const std::string& name) {
    const std::string id = Create(name);
    AwaitCluster(id, "state", "CREATED");
    return id;
  }

  std::vector<std::string> NodeDirs() {
    std::vector<std::string> dirs;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path() + "/nodes")) {
      dirs.push_back(entry.path());
    }
    return dirs;
  }

  pid_t PidOf(const std::string& node_dir) {
    const auto process = Process::Find(node_dir + "/agent-pid");
    return process.ok() ? process->pid() : -1;
  }

  // A pid in `node_dir` other than `old`.
  pid_t AwaitNewPid(const std::string& node_dir, pid_t old) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < deadline) {
      const pid_t pid = PidOf(node_dir);
      if (pid > 0 && pid != old) return pid;
      std::this_thread::yield();
    }
    ADD_FAILURE() << "the node was not started again";
    return -1;
  }

  json Desired(const std::string& node_dir) {
    std::ifstream file(node_dir + "/desired.json");
    return json::parse(file, nullptr, false);
  }

  std::unique_ptr<Agent> agent_process_;
};

TEST_F(AgentTest, ANodeIsStartedAndCarriesOutWhatIsWanted) {
  StartHostAgent();
  const std::string id = CreateServing("a");
  ASSERT_EQ(NodeDirs().size(), 1U);
  const std::string dir = NodeDirs()[0];
  const json desired = Desired(dir);
  EXPECT_EQ(desired["cluster_id"], id);
  EXPECT_EQ(desired["organization_id"], Get("/api/v1/organization").body["id"]);
  struct stat info {};
  ASSERT_EQ(stat((dir + "/desired.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(Send("POST", "/api/v1/clusters/" + id + "/cmek", RegionSpecs(kKey1)).status, 200);
  for (int i = 0; i < 1000 && Get("/api/v1/clusters/" + id + "/cmek").body["status"] != "ENABLED"; ++i) {
  }
  EXPECT_EQ(Get("/api/v1/clusters/" + id + "/cmek").body["status"], "ENABLED");
  const std::string arguments = [&] {
    std::ifstream file("/proc/" + std::to_string(PidOf(dir)) + "/environ");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  EXPECT_EQ(arguments, std::string("PATH=/usr/bin:/bin\0", 19));
}

TEST_F(AgentTest, ChecksReachTheNodeAndComeBack) {
  StartHostAgent();
  const std::string id = CreateServing("c");
  const std::string path = "/api/v1/clusters/" + id + "/cmek";
  json specs = RegionSpecs(kKey1);
  specs["region_specs"][0]["key_spec"]["auth_principal"] = "arn:aws:iam::111122223333:role/denied";
  const auto refused = Send("POST", path, specs);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body["message"].get<std::string>(), testing::HasSubstr("add the statement"));
  EXPECT_EQ(Send("POST", path, RegionSpecs(kKey1)).status, 200);
}

TEST_F(AgentTest, ALockIsVisibleWithinASecond) {
  StartHostAgent();
  const std::string id = CreateServing("l");
  const auto start = std::chrono::steady_clock::now();
  kill(PidOf(NodeDirs()[0]), SIGUSR1);
  const json locked = AwaitCluster(id, "state", "LOCKED");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_EQ(locked["lock"]["cause"], "KMS_DISABLED");
  kill(PidOf(NodeDirs()[0]), SIGUSR2);
  AwaitCluster(id, "state", "CREATED");
}

TEST_F(AgentTest, ADeadNodeIsStartedAgainOnItsPort) {
  StartHostAgent();
  const std::string id = CreateServing("d");
  const std::string dir = NodeDirs()[0];
  const json before = Desired(dir);
  const pid_t old = PidOf(dir);
  kill(old, SIGKILL);
  EXPECT_GT(AwaitNewPid(dir, old), 0);
  EXPECT_EQ(Desired(dir)["sql_listen"], before["sql_listen"]);
  AwaitCluster(id, "state", "CREATED");
}

TEST_F(AgentTest, NodesOutliveTheAgentAndAreFoundAgain) {
  StartHostAgent();
  const std::string id = CreateServing("o");
  const std::string dir = NodeDirs()[0];
  const pid_t pid = PidOf(dir);
  agent_process_.reset();
  EXPECT_EQ(kill(pid, 0), 0);
  kill(pid, SIGUSR1);
  StartHostAgent();
  AwaitCluster(id, "state", "LOCKED");
  EXPECT_EQ(PidOf(dir), pid) << "a second node was started beside the first";
}

TEST_F(AgentTest, ANodeIsKeptWithoutTheServer) {
  StartHostAgent();
  CreateServing("k");
  const std::string dir = NodeDirs()[0];
  agent_process_->Stop(NodesFate::kStop);
  agent_process_.reset();
  EXPECT_EQ(PidOf(dir), -1);
  server_->Stop();
  StartHostAgent();
  EXPECT_GT(AwaitNewPid(dir, -1), 0);
}

TEST_F(AgentTest, WhatHappenedWithoutTheServerIsToldWhenItIsBack) {
  StartHostAgent();
  const std::string id = CreateServing("s");
  options_.listen = "127.0.0.1:" + std::to_string(port());
  server_->Stop();
  server_.reset();
  kill(PidOf(NodeDirs()[0]), SIGUSR1);
  StartServer();
  AwaitCluster(id, "state", "LOCKED");
  const std::string other = CreateServing("t");
  EXPECT_EQ(NodeDirs().size(), 2U);
}

TEST_F(AgentTest, AnAgentWithAnotherTokenGetsNothing) {
  std::ofstream(dir_.path() + "/other-token") << std::string(43, 'x');
  AgentOptions options;
  options.dir = dir_.path();
  options.server_url = "http://127.0.0.1:" + std::to_string(port());
  options.token_path = dir_.path() + "/other-token";
  options.node_command = {KEYHOLD_FAKE_NODE, "node"};
  auto agent = Agent::Start(options);
  ASSERT_TRUE(agent.ok()) << agent.status();
  const std::string id = Create("u");
  (*agent)->Stop(NodesFate::kStop);
  EXPECT_EQ(Get("/api/v1/clusters/" + id).body["state"], "CREATING");
  EXPECT_TRUE(NodeDirs().empty());
}

TEST_F(AgentTest, OptionsAreChecked) {
  AgentOptions options;
  options.dir = dir_.path();
  EXPECT_EQ(CauseOf(Agent::Start(options).status()), Cause::kInvalidArgument);
  options.node_command = {"keyhold"};
  EXPECT_EQ(CauseOf(Agent::Start(options).status()), Cause::kInvalidArgument) << "no path";
  options.node_command = {"/bin/true"};
  options.dir = dir_.path() + "/none";
  EXPECT_EQ(CauseOf(Agent::Start(options).status()), Cause::kIo);
}

TEST_F(AgentTest, NodesHavePortsOfTheirOwn) {
  StartHostAgent();
  CreateServing("p1");
  CreateServing("p2");
  const auto dirs = NodeDirs();
  ASSERT_EQ(dirs.size(), 2U);
  EXPECT_NE(Desired(dirs[0])["sql_listen"], Desired(dirs[1])["sql_listen"]);
}

TEST_F(AgentTest, ADeletedClusterLeavesNoFiles) {
  StartHostAgent();
  const std::string id = CreateServing("r");
  const std::string dir = NodeDirs()[0];
  const pid_t pid = PidOf(dir);
  const auto answer = Send("DELETE", "/api/v1/clusters/" + id, json::object());
  EXPECT_EQ(answer.body["state"], "DELETED") << answer.text;
  EXPECT_FALSE(std::filesystem::exists(dir));
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(AgentTest, ACrashingNodeIsNotStartedInACircle) {
  AgentOptions options;
  options.dir = dir_.path();
  options.server_url = "http://127.0.0.1:" + std::to_string(port());
  options.token_path = dir_.path() + "/server/agent-token";
  options.node_command = {"/bin/false"};
  auto agent = Agent::Start(options);
  ASSERT_TRUE(agent.ok()) << agent.status();
  Create("f");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  std::set<pid_t> pids;
  while (std::chrono::steady_clock::now() < deadline) {
    if (!std::filesystem::exists(dir_.path() + "/nodes")) continue;
    for (const std::string& dir : NodeDirs()) {
      std::ifstream file(dir + "/agent-pid");
      pid_t pid = 0;
      if (file >> pid) pids.insert(pid);
    }
  }
  EXPECT_GE(pids.size(), 2U);
  EXPECT_LE(pids.size(), 6U);
}

}  // namespace
}  // namespace keyhold::agent
