#include "app/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace keyhold::app {
namespace {

constexpr absl::Duration kReadyTimeout = absl::Minutes(1);
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(200);
constexpr absl::Duration kLastBackoff = absl::Seconds(30);
constexpr absl::Duration kStable = absl::Minutes(1);
constexpr size_t kMaxLine = 4096;

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Child {
  ChildSpec spec;
  pid_t pid = 0;  // 0: not running
  Fd process;     // pidfd: readable when it has ended
  Fd said;        // its stdout
  absl::Time started;
  absl::Time restart_at = absl::InfiniteFuture();
  absl::Duration backoff = kFirstBackoff;
};

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// In the child, between fork and exec.
[[noreturn]] void Become(const ChildSpec& spec, int said, int log, pid_t parent) {
  setsid();
  prctl(PR_SET_PDEATHSIG, spec.parent_death_signal);
  if (getppid() != parent) _exit(1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(said, 1);
  dup2(log, 2);
  syscall(SYS_close_range, 3, ~0U, 0);
  std::vector<std::string> arguments = spec.arguments;
  std::vector<std::string> environment;
  for (const auto& [name, value] : spec.environment) environment.push_back(absl::StrCat(name, "=", value));
  execve(arguments[0].c_str(), Pointers(arguments).data(), Pointers(environment).data());
  dprintf(1, "failed %s cannot be run: %s\n", arguments[0].c_str(), std::strerror(errno));
  _exit(127);
}

int MillisUntil(absl::Time when) {
  if (when == absl::InfiniteFuture()) return -1;
  return static_cast<int>(std::max<int64_t>(0, absl::ToInt64Milliseconds(when - absl::Now()) + 1));
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("was ended by signal ", WTERMSIG(status));
  return absl::StrCat("ended with exit code ", WEXITSTATUS(status));
}

class ProcessSupervisor final : public Supervisor {
 public:
  explicit ProcessSupervisor(Fd signals) : signals_(std::move(signals)) {}
  ~ProcessSupervisor() override { StopAll(); }

  StatusOr<std::string> Start(const ChildSpec& spec) override;
  void Watch() override;
  void StopAll() override;

 private:
  Status Spawn(Child& child);
  StatusOr<std::string> AwaitReady(Child& child);
  void Reap(Child& child);
  void RestartDue();
  absl::Time NextRestart() const;
  void TakeSignal() {
    signalfd_siginfo info;
    while (read(signals_.get(), &info, sizeof(info)) < 0 && errno == EINTR) {
    }
  }

  Fd signals_;
  std::vector<Child> children_;
};

Status ProcessSupervisor::Spawn(Child& child) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  Fd reading(pipe_ends[0]);
  const Fd writing(pipe_ends[1]);
  const Fd log(open(child.spec.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (log.get() < 0) return ErrnoError(errno, child.spec.log_path);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoError(errno, "fork");
  if (pid == 0) Become(child.spec, writing.get(), log.get(), parent);
  child.pid = pid;
  child.process = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  child.said = std::move(reading);
  child.started = absl::Now();
  child.restart_at = absl::InfiniteFuture();
  if (child.process.get() < 0) return ErrnoError(errno, "pidfd_open");
  return OkStatus();
}

StatusOr<std::string> ProcessSupervisor::AwaitReady(Child& child) {
  const absl::Time deadline = absl::Now() + kReadyTimeout;
  std::string line;
  while (!absl::StrContains(line, "\n") && line.size() < kMaxLine) {
    pollfd waiting[] = {{child.said.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    const int ready = poll(waiting, 2, MillisUntil(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0)
      return Error(Cause::kUnavailable,
                   absl::StrCat(child.spec.name, " was not ready in a minute; see ", child.spec.log_path));
    if (waiting[1].revents != 0) {
      TakeSignal();
      return Error(Cause::kFailedPrecondition, "stopped before it was ready");
    }
    char chunk[512];
    const ssize_t size = read(child.said.get(), chunk, sizeof(chunk));
    if (size <= 0) break;
    line.append(chunk, size);
  }
  line = line.substr(0, line.find('\n'));
  if (absl::StartsWith(line, "ready")) return line.size() > 6 ? line.substr(6) : "";
  const std::string reason =
      absl::StartsWith(line, "failed ") ? line.substr(7) : "it died; see " + child.spec.log_path;
  return Error(Cause::kUnavailable, absl::StrCat(child.spec.name, ": ", reason));
}

StatusOr<std::string> ProcessSupervisor::Start(const ChildSpec& spec) {
  children_.emplace_back();
  Child& child = children_.back();
  child.spec = spec;
  KEYHOLD_RETURN_IF_ERROR(Spawn(child));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string address, AwaitReady(child));
  // Started again, it must be found where its users know it, not on another free port.
  const auto listen = std::find(child.spec.arguments.begin(), child.spec.arguments.end(), "--listen");
  if (listen != child.spec.arguments.end()) *std::next(listen) = address;
  return address;
}

void ProcessSupervisor::Reap(Child& child) {
  int status = 0;
  if (child.pid == 0 || waitpid(child.pid, &status, WNOHANG) != child.pid) return;
  child.pid = 0;
  child.process = Fd();
  child.said = Fd();
  if (absl::Now() - child.started > kStable) child.backoff = kFirstBackoff;
  child.restart_at = absl::Now() + child.backoff;
  spdlog::error("{} {}; it is started again in {}; its log is {}", child.spec.name, HowItEnded(status),
                absl::FormatDuration(child.backoff), child.spec.log_path);
  child.backoff = std::min(child.backoff * 2, kLastBackoff);
}

void ProcessSupervisor::RestartDue() {
  for (Child& child : children_) {
    if (child.pid != 0 || child.restart_at > absl::Now()) continue;
    const Status status = Spawn(child);
    if (!status.ok()) {
      spdlog::error("{} cannot be started: {}", child.spec.name, std::string(status.message()));
      child.restart_at = absl::Now() + kLastBackoff;
    }
  }
}

absl::Time ProcessSupervisor::NextRestart() const {
  absl::Time next = absl::InfiniteFuture();
  for (const Child& child : children_) {
    if (child.pid == 0) next = std::min(next, child.restart_at);
  }
  return next;
}

void ProcessSupervisor::Watch() {
  while (true) {
    std::vector<pollfd> waiting = {{signals_.get(), POLLIN, 0}};
    for (const Child& child : children_) {
      if (child.pid != 0) waiting.push_back({child.process.get(), POLLIN, 0});
    }
    if (poll(waiting.data(), waiting.size(), MillisUntil(NextRestart())) < 0 && errno != EINTR) return;
    if (waiting[0].revents != 0) return TakeSignal();
    for (Child& child : children_) Reap(child);
    RestartDue();
  }
}

void ProcessSupervisor::StopAll() {
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if (child->pid == 0) continue;
    kill(child->pid, SIGTERM);
    pollfd ended = {child->process.get(), POLLIN, 0};
    if (poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(child->spec.stop_timeout))) <= 0) {
      spdlog::error("{} did not end in {}; it is killed", child->spec.name,
                    absl::FormatDuration(child->spec.stop_timeout));
      kill(child->pid, SIGKILL);
    }
    waitpid(child->pid, nullptr, 0);
    child->pid = 0;
  }
  children_.clear();
}

}  // namespace

StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  Fd signals(signalfd(-1, &set, SFD_CLOEXEC));
  if (signals.get() < 0) return ErrnoError(errno, "signalfd");
  return std::unique_ptr<Supervisor>(std::make_unique<ProcessSupervisor>(std::move(signals)));
}

}  // namespace keyhold::app
