#include "engine/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace keyhold::engine {
namespace {

// What the child needs, made before fork: afterwards it may only make system calls.
struct Prepared {
  std::vector<char*> argv;
  std::array<char*, 5> environment;
  const char* directory;
  uid_t uid;
  gid_t gid;
  int input;
  int output;  // -1: ours
  int death_signal;
  pid_t parent;
};

StatusOr<passwd> FindUser(const std::string& name) {
  passwd user{};
  passwd* found = nullptr;
  static thread_local std::array<char, 4096> buffer;
  const int error = getpwnam_r(name.c_str(), &user, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return error != 0
               ? ErrnoError(error, "looking up the user " + name)
               : Error(Cause::kNotFound, "there is no user " + name + " on this host; install postgresql-15");
  }
  return user;
}

[[noreturn]] void BecomeChild(const Prepared& child) {
  const rlimit no_core{0, 0};
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const bool ready = dup2(child.input, 0) == 0 && (child.output < 0 || dup2(child.output, 1) == 1) &&
                     close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 && setpgid(0, 0) == 0 &&
                     setrlimit(RLIMIT_CORE, &no_core) == 0 && setgroups(0, nullptr) == 0 &&
                     setgid(child.gid) == 0 && setuid(child.uid) == 0 && chdir(child.directory) == 0;
  umask(077);
  // After setuid, which clears it. Whose parent died before this point has another parent now.
  prctl(PR_SET_PDEATHSIG, child.death_signal);
  if (ready && getppid() == child.parent)
    execve(child.argv[0], child.argv.data(), const_cast<char**>(child.environment.data()));
  _exit(127);
}

// Standard input that holds `text`: an anonymous file, so that no one has to feed a pipe.
StatusOr<int> InputOf(const std::string& text) {
  const int fd = static_cast<int>(memfd_create("keyhold-input", MFD_CLOEXEC));
  if (fd < 0) return ErrnoError(errno, "making a child's input");
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      lseek(fd, 0, SEEK_SET) != 0) {
    close(fd);
    return ErrnoError(EIO, "filling a child's input");
  }
  return fd;
}

StatusOr<pid_t> Fork(const Command& command, int output) {
  KEYHOLD_ASSIGN_OR_RETURN(const passwd user, FindUser(command.user));
  KEYHOLD_ASSIGN_OR_RETURN(const int input, InputOf(command.input));
  static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  static char locale[] = "LC_ALL=C.UTF-8";
  static char zone[] = "TZ=UTC";
  static char home[] = "HOME=/nonexistent";
  Prepared child{{},
                 {path, locale, zone, home, nullptr},
                 command.directory.c_str(),
                 user.pw_uid,
                 user.pw_gid,
                 input,
                 output,
                 command.death_signal,
                 getpid()};
  for (const std::string& word : command.argv) child.argv.push_back(const_cast<char*>(word.c_str()));
  child.argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) BecomeChild(child);
  const int error = errno;
  close(input);
  return pid > 0 ? StatusOr<pid_t>(pid) : ErrnoError(error, "starting " + command.argv[0]);
}

std::string EndingOf(int status) {
  return WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                           : "signal " + std::to_string(WTERMSIG(status));
}

}  // namespace

StatusOr<std::unique_ptr<Process>> Process::Start(const Command& command, std::function<void()> on_exit) {
  KEYHOLD_ASSIGN_OR_RETURN(const pid_t pid, Fork(command, -1));
  return std::unique_ptr<Process>(new Process(pid, std::move(on_exit)));
}

Process::Process(pid_t pid, std::function<void()> on_exit) : pid_(pid), on_exit_(std::move(on_exit)) {
  waiter_ = std::thread([this] { Await(); });
}

Process::~Process() {
  Signal(SIGKILL);
  waiter_.join();
}

void Process::Await() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  {
    const std::lock_guard lock(mutex_);
    ending_ = EndingOf(status);
  }
  ended_.notify_all();
  on_exit_();
}

void Process::Signal(int signal) const {
  const std::lock_guard lock(const_cast<std::mutex&>(mutex_));
  if (ending_.empty()) kill(pid_, signal);
}

bool Process::WaitFor(absl::Duration time) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, absl::ToChronoMilliseconds(time), [&] { return !ending_.empty(); });
}

std::string Process::Ending() {
  const std::lock_guard lock(mutex_);
  return ending_;
}

StatusOr<std::string> RunToEnd(const Command& command) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return ErrnoError(errno, "making a pipe");
  const auto pid = Fork(command, pipe_ends[1]);
  close(pipe_ends[1]);
  std::string output;
  std::array<char, 4096> piece;
  for (ssize_t n = 1; pid.ok() && n > 0;) {
    n = read(pipe_ends[0], piece.data(), piece.size());
    if (n > 0) output.append(piece.data(), static_cast<size_t>(n));
  }
  close(pipe_ends[0]);
  if (!pid.ok()) return pid.status();
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return output;
  return Error(Cause::kUnavailable,
               command.argv[0] + " ended with " + EndingOf(status) + "; the node's log says why");
}

}  // namespace keyhold::engine
