#include "engine/process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"

namespace keyhold::engine {
namespace {

constexpr int kEndWithin = 10'000;        // ms; a killed process ends at once unless it waits for a disk
constexpr int64_t kLongestPoll = 60'000;  // ms

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

// The descriptors go before chdir: with one of a FUSE mount's server, a child that waits for that mount keeps
// it up.
[[noreturn]] void BecomeChild(const Prepared& child) {
  const rlimit no_core{0, 0};
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  const bool ready = dup2(child.input, 0) == 0 && (child.output < 0 || dup2(child.output, 1) == 1) &&
                     close_range(3, ~0U, 0) == 0 && setpgid(0, 0) == 0 &&
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
  KEYHOLD_ASSIGN_OR_RETURN(const OsUser user, FindOsUser(command.user));
  if (access(command.argv[0].c_str(), X_OK) != 0)
    return Error(Cause::kNotFound, "there is no program " + command.argv[0] + "; install postgresql-15");
  KEYHOLD_ASSIGN_OR_RETURN(const int input, InputOf(command.input));
  static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  static char locale[] = "LC_ALL=C.UTF-8";
  static char zone[] = "TZ=UTC";
  static char home[] = "HOME=/nonexistent";
  Prepared child{{},
                 {path, locale, zone, home, nullptr},
                 command.directory.c_str(),
                 user.uid,
                 user.gid,
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

// What `pipe` gives until its other end is closed, or `until`. False: that was not in time.
bool ReadToEnd(int pipe, absl::Time until, std::string* output) {
  std::array<char, 4096> piece;
  while (true) {
    const auto left = std::clamp<int64_t>(absl::ToInt64Milliseconds(until - absl::Now()), 0, kLongestPoll);
    pollfd readable{pipe, POLLIN, 0};
    const int ready = poll(&readable, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0 && absl::Now() < until) continue;
    if (ready <= 0) return false;
    const ssize_t n = read(pipe, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0;
    output->append(piece.data(), static_cast<size_t>(n));
  }
}

// Of several nodes on a host each has its store at the same path, in a mount namespace of its own: the device
// tells them apart. It is looked at without a word to the file system, which may be another node's and hang.
bool WorksIn(const std::string& pid, const std::string& path, const struct statx& directory, uid_t uid) {
  struct stat owner {};
  const std::string proc = "/proc/" + pid;
  if (stat(proc.c_str(), &owner) != 0 || owner.st_uid != uid) return false;
  std::error_code gone;
  if (std::filesystem::read_symlink(proc + "/cwd", gone) != path) return false;
  struct statx place {};
  return statx(AT_FDCWD, (proc + "/cwd").c_str(), AT_STATX_DONT_SYNC, STATX_INO, &place) == 0 &&
         place.stx_ino == directory.stx_ino && place.stx_dev_major == directory.stx_dev_major &&
         place.stx_dev_minor == directory.stx_dev_minor;
}

// Held by its descriptor, so that no other process of its number is hit.
Status EndProcess(pid_t pid, const std::function<bool()>& is_meant) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return errno == ESRCH ? OkStatus() : ErrnoError(errno, "opening a process");
  Status status;
  if (is_meant()) {
    syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0);
    pollfd ended{fd, POLLIN, 0};
    int ready = 0;
    while ((ready = poll(&ended, 1, kEndWithin)) < 0 && errno == EINTR) {
    }
    if (ready <= 0) {
      status = Error(Cause::kUnavailable,
                     "the process " + std::to_string(pid) + " of an earlier PostgreSQL cannot be killed");
    }
  }
  close(fd);
  return status;
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

// The child stays a zombie, and its number its own, until no one can signal it any more.
void Process::Await() {
  siginfo_t info;
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  {
    const std::lock_guard lock(mutex_);
    int status = 0;
    waitpid(pid_, &status, 0);
    ending_ = EndingOf(status);
  }
  ended_.notify_all();
  on_exit_();
}

void Process::Signal(int signal) {
  const std::lock_guard lock(mutex_);
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

StatusOr<OsUser> FindOsUser(const std::string& name) {
  passwd user{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer;
  const int error = getpwnam_r(name.c_str(), &user, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return OsUser{user.pw_uid, user.pw_gid};
  return error != 0
             ? ErrnoError(error, "looking up the user " + name)
             : Error(Cause::kNotFound, "there is no user " + name + " on this host; install postgresql-15");
}

StatusOr<std::string> RunToEnd(const Command& command, absl::Duration time) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return ErrnoError(errno, "making a pipe");
  const absl::Time until = absl::Now() + time;
  const auto pid = Fork(command, pipe_ends[1]);
  close(pipe_ends[1]);
  std::string output;
  const bool in_time = !pid.ok() || ReadToEnd(pipe_ends[0], until, &output);
  close(pipe_ends[0]);
  if (!pid.ok()) return pid.status();
  if (!in_time) kill(-*pid, SIGKILL);
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time)
    return Error(Cause::kUnavailable, command.argv[0] + " was not done after " + absl::FormatDuration(time));
  if (status == 0) return output;
  return Error(Cause::kUnavailable,
               command.argv[0] + " ended with " + EndingOf(status) + "; the node's log says why");
}

Status EndProcessesIn(const std::string& directory, const OsUser& user) {
  struct statx place {};
  if (statx(AT_FDCWD, directory.c_str(), 0, STATX_INO, &place) != 0)
    return ErrnoError(errno, "looking at " + directory);
  // Until a look finds none: one that is being ended may have started another.
  for (bool found = true; found;) {
    found = false;
    std::error_code error;
    for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string name = entry->path().filename();
      pid_t pid = 0;
      const auto is_meant = [&] { return WorksIn(name, directory, place, user.uid); };
      if (!absl::SimpleAtoi(name, &pid) || !is_meant()) continue;
      found = true;
      KEYHOLD_RETURN_IF_ERROR(EndProcess(pid, is_meant));
    }
    if (error) return ErrnoError(error.value(), "reading /proc");
  }
  return OkStatus();
}

}  // namespace keyhold::engine
