// What the server acknowledged survives its death: it is killed at random instants under changes, and
// reopened.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <set>

#include "crypto/secret.h"
#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

// A server in a process of its own, which prints nothing and ends only by a signal.
class ServerProcess {
 public:
  explicit ServerProcess(const std::string& dir) {
    int pipe_fds[2];
    EXPECT_EQ(pipe(pipe_fds), 0);
    pid_ = fork();
    if (pid_ == 0) Run(dir, pipe_fds[1]);
    close(pipe_fds[1]);
    if (read(pipe_fds[0], &port_, sizeof port_) != sizeof port_) ADD_FAILURE() << "the server did not start";
    close(pipe_fds[0]);
  }
  ~ServerProcess() { Kill(); }

  void Kill() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    pid_ = -1;
  }

  int port() const { return port_; }

 private:
  [[noreturn]] static void Run(const std::string& dir, int out) {
    if (!crypto::InitSecretMemory().ok()) _exit(1);
    ServerOptions options{.requests_per_second = 0};
    options.dir = dir;
    options.observe_timeout = absl::ZeroDuration();
    const Status status = RunServer(options, [&](uint16_t port) {
      const int value = port;
      if (write(out, &value, sizeof value) != sizeof value) _exit(1);
    });
    _exit(status.ok() ? 0 : 1);
  }

  pid_t pid_ = -1;
  int port_ = 0;
};

// Of every cluster, over all pages.
std::set<std::string> Names(int port, const std::string& key) {
  std::set<std::string> names;
  std::string page;
  do {
    const auto list = Call(port, key, "GET", "/api/v1/clusters?pagination.limit=500&pagination.page=" + page);
    EXPECT_EQ(list.status, 200) << list.text;
    if (list.status != 200) break;
    for (const json& cluster : list.body["clusters"]) names.insert(cluster["name"].get<std::string>());
    page = list.body["pagination"]["next_page"].get<std::string>();
  } while (!page.empty());
  return names;
}

// Creates clusters until the server dies; the acknowledged ones go to `made`, and their number to `count`.
void CreateUntilDead(int port, const std::string& key, int round, std::set<std::string>& made,
                     std::atomic<int>& count) {
  for (int i = 0;; ++i) {
    const std::string name = "r" + std::to_string(round) + "-" + std::to_string(i);
    const json body = {{"name", name},
                       {"provider", "AWS"},
                       {"spec", {{"dedicated", {{"region_nodes", {{"us-east-1", 1}}}}}}}};
    const auto answer = Call(port, key, "POST", "/api/v1/clusters", body.dump());
    if (answer.status == 0) return;
    ASSERT_EQ(answer.status, 200) << answer.text;
    made.insert(name);
    ++count;
  }
}

TEST(Crash, NoAcknowledgedChangeIsLost) {
  TemporaryDirectory dir;
  std::mt19937 random(20261124);
  std::set<std::string> made;
  for (int round = 0; round < 20; ++round) {
    ServerProcess server(dir.path());
    const std::string key = ReadText(dir.path() + "/server/api-key");
    const auto names = Names(server.port(), key);
    for (const std::string& name : made) EXPECT_TRUE(names.contains(name)) << name << " is lost";
    std::atomic<int> count = 0;
    std::thread changes([&] { CreateUntilDead(server.port(), key, round, made, count); });
    // Somewhere within the request after so many.
    const int enough = static_cast<int>(1 + random() % 8);
    while (count < enough) std::this_thread::yield();
    for (unsigned spin = random() % 200; spin > 0; --spin) std::this_thread::yield();
    server.Kill();
    changes.join();
  }
  EXPECT_GE(made.size(), 20U);
}

// Killed as soon as the first start has made each of its files.
TEST(Crash, AStartThatWasCutOffIsCompletedByTheNext) {
  for (const char* file : {"", "keyhold.db", "keyhold.db-wal", "api-key.new", "api-key", "agent-token"}) {
    TemporaryDirectory dir;
    const std::string path = dir.path() + "/server/" + file;
    const pid_t pid = fork();
    if (pid == 0) {
      ServerOptions options{.requests_per_second = 0};
      options.dir = dir.path();
      if (crypto::InitSecretMemory().ok()) (void)RunServer(options, [](uint16_t) {});
      _exit(1);
    }
    const std::string last = dir.path() + "/server/agent-token";
    while (access(path.c_str(), F_OK) != 0 && access(last.c_str(), F_OK) != 0) std::this_thread::yield();
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    ServerProcess server(dir.path());
    const std::string key = ReadText(dir.path() + "/server/api-key");
    EXPECT_EQ(Call(server.port(), key, "GET", "/api/v1/organization").status, 200) << file;
  }
}

TEST(Crash, ADirectoryInUseIsRefused) {
  TemporaryDirectory dir;
  ServerProcess server(dir.path());
  ASSERT_TRUE(crypto::InitSecretMemory().ok());
  ServerOptions options{.requests_per_second = 0};
  options.dir = dir.path();
  const auto second = Server::Start(options, SystemClock(), crypto::SystemRandom());
  EXPECT_EQ(CauseOf(second.status()), Cause::kFailedPrecondition) << second.status();
}

TEST(Crash, ABusyPortIsNamed) {
  TemporaryDirectory one;
  TemporaryDirectory two;
  ServerProcess server(one.path());
  ASSERT_TRUE(crypto::InitSecretMemory().ok());
  ServerOptions options{.requests_per_second = 0};
  options.dir = two.path();
  options.listen = "127.0.0.1:" + std::to_string(server.port());
  const auto second = Server::Start(options, SystemClock(), crypto::SystemRandom());
  EXPECT_EQ(CauseOf(second.status()), Cause::kUnavailable) << second.status();
  EXPECT_NE(std::string(second.status().message()).find(options.listen), std::string::npos);
}

}  // namespace
}  // namespace keyhold::api
