// A test's double for `keyhold node`: docs/architecture.md's control socket, and no data behind it.
//
// It serves at once, carries CMEK operations out at once, and locks when REVOKE is wanted. A key spec whose
// URI has "denied" in it fails its check, and "slow" answers after 2 s. SIGUSR1 locks it as a disabled key
// would, SIGUSR2 returns it.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

#include "wire/node.h"

namespace keyhold {
namespace {

using nlohmann::json;
using wire::NodeState;

class FakeNode {
 public:
  explicit FakeNode(std::string dir) : dir_(std::move(dir)) {}

  void Take(const json& body) {
    const auto desired = wire::DesiredNodeFromJson(body);
    if (!desired.ok()) return;
    const std::lock_guard lock(mutex_);
    if (desired->generation < status_.observed_generation) return;
    status_.node_id = desired->node_id;
    status_.sql_address = desired->sql_listen;
    status_.ca_pem = "-----BEGIN CERTIFICATE-----\nfake\n-----END CERTIFICATE-----\n";
    status_.observed_generation = desired->generation;
    ApplyCmek(*desired);
    revoked_ = desired->revoked;
    Settle();
    Bump();
  }

  void SetDisabled(bool disabled) {
    const std::lock_guard lock(mutex_);
    disabled_ = disabled;
    Settle();
    Bump();
  }

  std::string StatusAfter(uint64_t version) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(25), [&] { return status_.version > version; });
    return wire::ToJson(status_).dump();
  }

  std::string Check(const json& body) {
    const auto spec = wire::KeySpecFromJson(body);
    wire::CheckReport report;
    report.usable = spec.ok() && spec->auth_principal.find("denied") == std::string::npos;
    report.steps = {{"kms:Encrypt", report.usable ? "PASS" : "FAIL", report.usable ? "" : "KMS_DENIED",
                     report.usable ? "" : R"(add the statement {"Effect": "Allow"})"}};
    return wire::ToJson(report).dump();
  }

  const std::string& dir() const { return dir_; }

 private:
  void Bump() {
    ++status_.version;
    changed_.notify_all();
  }

  void ApplyCmek(const wire::DesiredNode& desired) {
    if (!desired.cmek || desired.cmek->generation <= status_.cmek_generation) return;
    status_.cmek_generation = desired.cmek->generation;
    status_.cmek_status = "ENABLED";
    for (auto& key : status_.keys) key.status = "DISABLED";
    status_.keys.insert(status_.keys.begin(), {desired.cmek->key_spec, "ENABLED", "", "t", "t"});
  }

  // The state that follows from what was asked for.
  void Settle() {
    status_.state = revoked_ || disabled_ ? NodeState::kLocked : NodeState::kServing;
    status_.lock.reset();
    const std::string cause = revoked_ ? "REVOKED" : "KMS_DISABLED";
    if (status_.state == NodeState::kLocked) {
      status_.lock = wire::Trouble{cause, "the fake's key is not to be used", "2026-01-01T00:00:00Z"};
    }
  }

  bool revoked_ = false;
  bool disabled_ = false;
  const std::string dir_;
  std::mutex mutex_;
  std::condition_variable changed_;
  wire::NodeStatus status_;
};

bool ReadUntil(int fd, std::string& buffer, const std::string& mark) {
  char chunk[4096];
  while (buffer.find(mark) == std::string::npos) {
    const ssize_t n = read(fd, chunk, sizeof chunk);
    if (n <= 0) return false;
    buffer.append(chunk, n);
  }
  return true;
}

std::string Answer(FakeNode& node, const std::string& line, const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  if (line.starts_with("GET /status?after=")) return node.StatusAfter(std::stoull(line.substr(18)));
  if (line.starts_with("PUT /desired")) node.Take(parsed);
  if (line.starts_with("POST /check")) return node.Check(parsed);
  return "{}";
}

void Serve(FakeNode& node, int fd) {
  std::string buffer;
  while (ReadUntil(fd, buffer, "\r\n\r\n")) {
    const size_t head_end = buffer.find("\r\n\r\n") + 4;
    const std::string head = buffer.substr(0, head_end);
    const size_t length_at = head.find("Content-Length: ");
    const size_t length = length_at == std::string::npos ? 0 : std::stoul(head.substr(length_at + 16));
    char chunk[4096];
    while (buffer.size() < head_end + length) {
      const ssize_t n = read(fd, chunk, sizeof chunk);
      if (n <= 0) return;
      buffer.append(chunk, n);
    }
    const std::string body = Answer(node, head, buffer.substr(head_end, length));
    const std::string reply = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body;
    if (send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) break;
    if (head.starts_with("POST /stop")) _exit(0);
    buffer.erase(0, head_end + length);
  }
  close(fd);
}

int Listen(const std::string& run) {
  mkdir(run.c_str(), 0700);
  if (chdir(run.c_str()) != 0) return -1;
  unlink("control.sock");
  sockaddr_un address{AF_UNIX, "control.sock"};
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  return listen(fd, 16) == 0 ? fd : -1;
}

void AwaitSignals(FakeNode& node, const sigset_t& signals) {
  while (true) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal == SIGTERM) _exit(0);
    node.SetDisabled(signal == SIGUSR1);
  }
}

int Main(int argc, char** argv) {
  std::string dir;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string(argv[i]) == "--dir") dir = argv[i + 1];
  }
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::ifstream file(dir + "/desired.json");
  std::stringstream text;
  text << file.rdbuf();
  FakeNode node(dir);
  node.Take(json::parse(text.str(), nullptr, false));
  mkdir((dir + "/store").c_str(), 0700);
  std::ofstream(dir + "/store/keyring") << "fake";
  const int listener = Listen(dir + "/run");
  // Two nodes in one directory are what the agent must never make.
  const int lock = open((dir + "/run/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (listener < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) return 3;
  std::thread([&] { AwaitSignals(node, signals); }).detach();
  while (true) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) std::thread([&node, fd] { Serve(node, fd); }).detach();
  }
}

}  // namespace
}  // namespace keyhold

int main(int argc, char** argv) { return keyhold::Main(argc, argv); }
