#include "app/background.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace keyhold::app {
namespace {

constexpr char kReady[] = "+";  // what a child says to its parent; anything else is why it failed

// The standard streams of a process that nobody watches any more.
Status Detach(const std::string& log_path) {
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int log = open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return ErrnoError(errno, log_path);
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  return OkStatus();
}

Status AwaitReady(int from_child, pid_t child) {
  std::string message;
  char chunk[512];
  ssize_t size = 0;
  while ((size = read(from_child, chunk, sizeof(chunk))) > 0) message.append(chunk, size);
  if (message == kReady) return OkStatus();
  waitpid(child, nullptr, 0);
  return Error(Cause::kUnavailable, message.empty() ? "it died before it was ready" : message);
}

void Tell(int parent, const std::string& message) {
  if (write(parent, message.data(), message.size()) < 0) spdlog::error("nobody waits for this start");
  close(parent);
}

[[noreturn]] void RunAsDaemon(int parent, const std::function<Status(const Ready&)>& service) {
  setsid();
  bool told = false;
  const Status status = service([&](const std::string& log_path) -> Status {
    KEYHOLD_RETURN_IF_ERROR(Detach(log_path));
    Tell(parent, kReady);
    told = true;
    return OkStatus();
  });
  if (!status.ok() && !told) Tell(parent, std::string(status.message()));
  _exit(status.ok() ? 0 : 1);
}

}  // namespace

Status RunUntilReady(bool background, const std::function<Status(const Ready&)>& service) {
  if (!background) return service([](const std::string&) { return OkStatus(); });
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  const pid_t child = fork();
  if (child < 0) return ErrnoError(errno, "fork");
  if (child == 0) {
    close(pipe_ends[0]);
    RunAsDaemon(pipe_ends[1], service);
  }
  close(pipe_ends[1]);
  Status status = AwaitReady(pipe_ends[0], child);
  close(pipe_ends[0]);
  return status;
}

}  // namespace keyhold::app
