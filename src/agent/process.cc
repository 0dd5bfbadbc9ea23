#include "agent/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/files.h"

namespace keyhold::agent {
namespace {

// Clock ticks since boot: with the pid, it names one process until the machine restarts. Field 22 of
// proc(5)'s /proc/PID/stat, counted behind the command name, which may hold anything.
StatusOr<std::string> StartTimeOf(pid_t pid) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string stat, ReadFile(absl::StrCat("/proc/", pid, "/stat")));
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return Error(Cause::kCorrupt, "/proc/PID/stat is malformed");
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 1), ' ', absl::SkipEmpty());
  if (fields.size() < 20 || fields[0] == "Z") return Error(Cause::kNotFound, "the process has ended");
  return fields[19];
}

StatusOr<std::string> BootId() { return ReadFile("/proc/sys/kernel/random/boot_id"); }

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Between fork and exec: async-signal-safe calls only. Waits for the byte that says that the pid file is
// written; if the agent dies first, the pipe ends and so does this.
[[noreturn]] void Child(int gate, int log, char* const* argv, char* const* envp) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  // An ignored signal would stay ignored in the program.
  signal(SIGPIPE, SIG_DFL);
  char byte = 0;
  if (read(gate, &byte, 1) != 1) _exit(127);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  syscall(SYS_close_range, 3U, ~0U, 0U);
  execve(argv[0], argv, envp);
  constexpr char kMessage[] = "the node's program cannot be executed\n";
  [[maybe_unused]] const ssize_t written = write(2, kMessage, sizeof kMessage - 1);
  _exit(127);
}

Status WritePidFile(const std::string& path, pid_t pid) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string start, StartTimeOf(pid));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string boot, BootId());
  return WriteFileAtomically(path, absl::StrCat(pid, " ", start, " ", boot));
}

int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace

Process::Process(Process&& other) noexcept { *this = std::move(other); }

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  return *this;
}

Process::~Process() {
  if (pidfd_ >= 0) close(pidfd_);
}

StatusOr<Process> Process::Spawn(const ProcessSpec& spec) {
  std::vector<std::string> arguments = spec.command;
  std::vector<std::string> variables;
  for (const auto& [name, value] : spec.environment) variables.push_back(absl::StrCat(name, "=", value));
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(variables);
  const int log = open(spec.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return ErrnoError(errno, spec.log_path);
  std::array<int, 2> gate;
  if (pipe2(gate.data(), O_CLOEXEC) != 0) {
    close(log);
    return ErrnoError(errno, "pipe");
  }
  const pid_t pid = fork();
  if (pid == 0) {
    close(gate[1]);
    Child(gate[0], log, argv.data(), envp.data());
  }
  const int fork_error = errno;
  close(log);
  close(gate[0]);
  Status status = pid < 0 ? ErrnoError(fork_error, "fork") : WritePidFile(spec.pid_path, pid);
  Process process;
  if (status.ok()) {
    process.pid_ = pid;
    process.pidfd_ = OpenPidfd(pid);
    if (process.pidfd_ < 0) status = ErrnoError(errno, "pidfd_open");
  }
  if (status.ok() && write(gate[1], "g", 1) != 1) status = ErrnoError(errno, "write");
  close(gate[1]);
  if (!status.ok() && pid > 0) waitpid(pid, nullptr, 0);
  if (!status.ok()) return status;
  return process;
}

StatusOr<Process> Process::Find(const std::string& pid_path) {
  const Status gone = Error(Cause::kNotFound, pid_path + " names no running process");
  const auto text = ReadFile(pid_path);
  if (!text.ok()) return gone;
  const std::vector<std::string> fields = absl::StrSplit(*text, ' ');
  Process process;
  if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &process.pid_) || process.pid_ <= 1) return gone;
  process.pidfd_ = OpenPidfd(process.pid_);
  if (process.pidfd_ < 0) return gone;
  const auto start = StartTimeOf(process.pid_);
  const auto boot = BootId();
  if (!start.ok() || *start != fields[1] || !boot.ok() || *boot != fields[2]) return gone;
  return process;
}

std::string Process::Reap() {
  siginfo_t info{};
  std::string how = "ended";
  if (waitid(P_PID, pid_, &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid_) {
    how = info.si_code == CLD_EXITED ? absl::StrCat("ended with exit code ", info.si_status)
                                     : absl::StrCat("ended by signal ", info.si_status);
  }
  close(pidfd_);
  pidfd_ = -1;
  return how;
}

void Process::Signal(int signal) const {
  if (pidfd_ >= 0) syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0);
}

}  // namespace keyhold::agent
