#include "cli/psql.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>

#include "absl/strings/str_cat.h"

namespace keyhold::cli {
namespace {

// libpq takes a password file that is a regular file of mode 0600 at most; a memfd is one.
Status HandOver(const std::string& password_file) {
  const int fd = memfd_create("pgpass", 0);
  if (fd < 0) return ErrnoError(errno, "memfd_create");
  if (fchmod(fd, 0600) != 0) return ErrnoError(errno, "fchmod");
  if (write(fd, password_file.data(), password_file.size()) != static_cast<ssize_t>(password_file.size())) {
    return ErrnoError(errno, "password file");
  }
  setenv("PGPASSFILE", absl::StrCat("/proc/self/fd/", fd).c_str(), 1);
  return OkStatus();
}

constexpr int kCannotRun = 127;    // as sh says it
constexpr int kTimeout = 120'000;  // milliseconds

// Files in memory for what a child says.
struct Said {
  int out = memfd_create("psql-out", MFD_CLOEXEC);
  int err = memfd_create("psql-err", MFD_CLOEXEC);
  ~Said() {
    close(out);
    close(err);
  }
};

std::string TextOf(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

// True once it has ended.
bool AwaitEnd(pid_t pid) {
  // glibc 2.36 declares pidfd_open() for C alone.
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd end = {fd, POLLIN, 0};
  const bool ended = fd >= 0 && poll(&end, 1, kTimeout) == 1;
  if (fd >= 0) close(fd);
  return ended;
}

// `become` takes the place of the child, and returns only where it cannot.
StatusOr<Ran> RunChild(const std::function<Status()>& become) {
  const Said said;
  const pid_t pid = fork();
  if (pid < 0) return ErrnoError(errno, "fork");
  if (pid == 0) {
    dup2(said.out, STDOUT_FILENO);
    dup2(said.err, STDERR_FILENO);
    const std::string text(become().message());
    (void)!write(STDERR_FILENO, text.data(), text.size());
    _exit(kCannotRun);
  }
  const bool ended = AwaitEnd(pid);
  if (!ended) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  if (!ended) return Error(Cause::kUnavailable, "it has not ended after two minutes");
  const Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : 1, TextOf(said.out), TextOf(said.err)};
  if (ran.exit_code == kCannotRun) return Error(Cause::kUnavailable, ran.err);
  return ran;
}

}  // namespace

Status ExecPsqlProgram(const std::vector<std::string>& arguments, const std::string& password_file) {
  if (!password_file.empty()) KEYHOLD_RETURN_IF_ERROR(HandOver(password_file));
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  execvp("psql", pointers.data());
  return ErrnoError(errno, "cannot run psql; install postgresql-client, or use --connection-url");
}

StatusOr<Ran> RunPsqlProgram(const std::vector<std::string>& arguments, const std::string& password_file) {
  return RunChild([&] { return ExecPsqlProgram(arguments, password_file); });
}

StatusOr<Ran> RunShellCommand(const std::string& command) {
  return RunChild([&] {
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    return ErrnoError(errno, "cannot run /bin/sh");
  });
}

}  // namespace keyhold::cli
