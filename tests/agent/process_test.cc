// The agent's tools: processes that can be found again, files, ports, HTTP to a peer that misbehaves.
#include "agent/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "agent/files.h"
#include "agent/http_client.h"
#include "agent/node_supervisor.h"

namespace keyhold::agent {
namespace {

class ToolsTest : public testing::Test {
 protected:
  ToolsTest() {
    char name[] = "/tmp/keyhold-agent-XXXXXX";
    dir_ = mkdtemp(name);
  }
  ~ToolsTest() override { std::filesystem::remove_all(dir_); }

  ProcessSpec Spec(const std::string& script) {
    return {{"/bin/sh", "-c", script}, {{"GREETING", "hello"}}, dir_ + "/log", dir_ + "/pid"};
  }
  std::string Log() {
    std::ifstream file(dir_ + "/log");
    return {(std::istreambuf_iterator<char>(file)), {}};
  }
  static void AwaitEnd(const Process& process) {
    pollfd fd{process.pidfd(), POLLIN, 0};
    ASSERT_EQ(poll(&fd, 1, 20'000), 1);
  }

  std::string dir_;
};

TEST_F(ToolsTest, AProcessHasOnlyWhatItIsGiven) {
  setenv("KEYHOLD_TEST_SECRET", "x", 1);
  const int leak = open("/dev/null", O_RDONLY);
  auto process =
      Process::Spawn(Spec("echo \"$GREETING ${KEYHOLD_TEST_SECRET:-none}\"; ls /proc/self/fd | wc -l"));
  close(leak);
  ASSERT_TRUE(process.ok()) << process.status();
  AwaitEnd(*process);
  EXPECT_EQ(process->Reap(), "ended with exit code 0");
  // ls itself opens the directory.
  EXPECT_EQ(Log(), "hello none\n4\n");
}

TEST_F(ToolsTest, AProcessIsASessionOfItsOwn) {
  // Field 6 of proc(5)'s stat is the session.
  auto process = Process::Spawn(Spec("cut -d' ' -f6 /proc/self/stat; kill -9 $$"));
  ASSERT_TRUE(process.ok()) << process.status();
  AwaitEnd(*process);
  EXPECT_EQ(process->Reap(), "ended by signal 9");
  EXPECT_FALSE(process->running());
  EXPECT_EQ(Log(), std::to_string(process->pid()) + "\n");
}

TEST_F(ToolsTest, ARunningProcessIsFoundAndADeadOneIsNot) {
  auto process = Process::Spawn(Spec("exec cat /dev/zero > /dev/null"));
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_EQ(Process::Find(dir_ + "/pid")->pid(), process->pid());
  process->Signal(SIGKILL);
  AwaitEnd(*process);
  EXPECT_EQ(CauseOf(Process::Find(dir_ + "/pid").status()), Cause::kNotFound) << "a zombie does not run";
  process->Reap();
  EXPECT_EQ(CauseOf(Process::Find(dir_ + "/pid").status()), Cause::kNotFound);
}

TEST_F(ToolsTest, APidThatIsAnothersNowIsNotFound) {
  for (const std::string& content :
       {std::string(), std::string("x y z"), std::to_string(getpid()) + " 1 boot", std::string("1 1 boot"),
        std::string("-1 1 boot"), std::to_string(getpid())}) {
    std::ofstream(dir_ + "/pid", std::ios::trunc) << content;
    EXPECT_EQ(CauseOf(Process::Find(dir_ + "/pid").status()), Cause::kNotFound) << content;
  }
}

TEST_F(ToolsTest, AProgramThatIsNotThereIsLogged) {
  ProcessSpec spec = Spec("");
  spec.command = {"/nonexistent"};
  auto process = Process::Spawn(spec);
  ASSERT_TRUE(process.ok()) << process.status();
  AwaitEnd(*process);
  EXPECT_EQ(process->Reap(), "ended with exit code 127");
  EXPECT_THAT(Log(), testing::HasSubstr("cannot be executed"));
}

TEST_F(ToolsTest, FilesAreReplacedWhole) {
  const std::string path = dir_ + "/file";
  ASSERT_TRUE(WriteFileAtomically(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two").ok());
  EXPECT_EQ(*ReadFile(path), "two");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  EXPECT_EQ(CauseOf(ReadFile(dir_ + "/none").status()), Cause::kNotFound);
  EXPECT_EQ(CauseOf(WriteFileAtomically(dir_ + "/none/file", "x")), Cause::kIo);
  std::ofstream(path) << std::string((1 << 20) + 1, 'x');
  EXPECT_EQ(CauseOf(ReadFile(path).status()), Cause::kCorrupt);
}

TEST_F(ToolsTest, ATreeIsRemovedButNothingThatItPointsTo) {
  std::filesystem::create_directories(dir_ + "/node/store/root");
  std::ofstream(dir_ + "/node/store/keyring") << "k";
  std::ofstream(dir_ + "/outside") << "stays";
  std::filesystem::create_symlink(dir_ + "/outside", dir_ + "/node/link");
  ASSERT_TRUE(RemoveTree(dir_ + "/node", {"desired.json", "store/keyring"}).ok());
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/node"));
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/outside"));
  EXPECT_TRUE(RemoveTree(dir_ + "/node", {"desired.json"}).ok());
}

// Listens as a node does.
class Listener {
 public:
  explicit Listener(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
    listens_ =
        bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && listen(fd_, 1) == 0;
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  bool listens() const { return listens_; }

 private:
  const int fd_;
  bool listens_ = false;
};

TEST_F(ToolsTest, PortsAreGivenOnce) {
  Ports ports("127.0.0.1", 28000);
  const uint16_t one = *ports.Take();
  const uint16_t two = *ports.Take();
  EXPECT_NE(one, two);
  ports.Release(one);
  EXPECT_EQ(*ports.Take(), one);
  Ports reserved("127.0.0.1", 28000);
  reserved.Reserve(one);
  EXPECT_NE(*reserved.Take(), one);
}

TEST_F(ToolsTest, APortIsHeldForItsNodeWhileThatIsDown) {
  Ports ports("127.0.0.1", 28100);
  Ports of_another_agent("127.0.0.1", 28100);
  const uint16_t port = *ports.Take();
  EXPECT_NE(*of_another_agent.Take(), port) << "its node does not listen yet";
  {
    const Listener node(port);
    EXPECT_TRUE(node.listens());
    Ports of_the_next_agent("127.0.0.1", 28100);
    of_the_next_agent.Reserve(port);  // holds nothing while the node listens
  }
  const Listener again(port);
  EXPECT_TRUE(again.listens());
}

TEST_F(ToolsTest, AnAgentThatFindsItsNodeDeadHoldsItsPortAgain) {
  uint16_t port = 0;
  {
    Ports before("127.0.0.1", 28200);
    port = *before.Take();
  }
  Ports ports("127.0.0.1", 28200);
  {
    const Listener node(port);
    ports.Reserve(port);
  }
  ports.Reserve(port);
  EXPECT_NE(*Ports("127.0.0.1", 28200).Take(), port);
  EXPECT_TRUE(Listener(port).listens());
}

TEST_F(ToolsTest, APortInUseIsPassedOver) {
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size);
  Ports ports("127.0.0.1", ntohs(address.sin_port));
  EXPECT_GT(*ports.Take(), ntohs(address.sin_port));
  close(taken);
}

// Answers one connection on a Unix socket with `answer`, whatever it is asked; "" never answers.
class RawPeer {
 public:
  RawPeer(const std::string& dir, std::string answer) : answer_(std::move(answer)) {
    std::filesystem::create_directories(dir);
    const std::string old = std::filesystem::current_path();
    std::filesystem::current_path(dir);
    sockaddr_un address{AF_UNIX, "control.sock"};
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    listen(listener_, 4);
    std::filesystem::current_path(old);
    thread_ = std::thread([this] { Serve(); });
  }
  ~RawPeer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

 private:
  void Serve() {
    const int fd = accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    char buffer[4096];
    if (read(fd, buffer, sizeof buffer) > 0 && !answer_.empty()) {
      [[maybe_unused]] const ssize_t n = write(fd, answer_.data(), answer_.size());
    }
    if (answer_.empty()) [[maybe_unused]]
      const ssize_t n = read(fd, buffer, sizeof buffer);
    close(fd);
  }
  std::string answer_;
  int listener_;
  std::thread thread_;
};

TEST_F(ToolsTest, APeerIsHeardWhereverItsSocketLies) {
  const std::string deep = dir_ + "/" + std::string(120, 'd');
  RawPeer peer(deep, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"ok\": 1}");
  const auto answer = HttpClient::ForSocket(deep + "/control.sock")->Send({"GET", "/status", ""});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ((*answer)["ok"], 1);
}

struct PeerRow {
  const char* answer;
  Cause cause;
};

TEST_F(ToolsTest, WhatAPeerSaysBecomesAStatus) {
  const PeerRow rows[] = {
      {"HTTP/1.1 409 C\r\nContent-Length: 43\r\n\r\n{\"cause\": \"CONFLICT\", \"message\": \"not now\"}",
       Cause::kConflict},
      {"HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n", Cause::kNotFound},
      {"HTTP/1.1 500 E\r\nContent-Length: 2\r\n\r\n{}", Cause::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{\"a", Cause::kCorrupt},
      {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", Cause::kUnavailable},
      {"nonsense", Cause::kUnavailable}};
  int i = 0;
  for (const PeerRow& row : rows) {
    const std::string dir = dir_ + "/" + std::to_string(i++);
    RawPeer peer(dir, row.answer);
    const auto answer =
        HttpClient::ForSocket(dir + "/control.sock")->Send({"GET", "/", "", absl::Seconds(5)});
    EXPECT_EQ(CauseOf(answer.status()), row.cause) << row.answer << answer.status();
  }
  EXPECT_EQ(CauseOf(HttpClient::ForSocket(dir_ + "/none/control.sock")->Send({"GET", "/", ""}).status()),
            Cause::kUnavailable);
}

TEST_F(ToolsTest, ACallIsBoundedAndCanBeEnded) {
  RawPeer peer(dir_ + "/run", "");
  const auto client = HttpClient::ForSocket(dir_ + "/run/control.sock");
  auto call = std::async(std::launch::async, [&] { return client->Send({"GET", "/", "", absl::Hours(1)}); });
  client->Abort();
  EXPECT_EQ(CauseOf(call.get().status()), Cause::kUnavailable);
  RawPeer silent(dir_ + "/silent", "");
  const auto bounded =
      HttpClient::ForSocket(dir_ + "/silent/control.sock")->Send({"GET", "/", "", absl::Milliseconds(50)});
  EXPECT_EQ(CauseOf(bounded.status()), Cause::kUnavailable);
}

}  // namespace
}  // namespace keyhold::agent
