// Child processes of the engine: run as an unprivileged user, with a clean environment and no inherited
// descriptors, dying with the thread that started them.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::engine {

struct Command {
  std::vector<std::string> argv;  // argv[0] is the program's path
  std::string user;               // whom it runs as
  std::string directory;          // where it starts
  std::string input;              // its standard input
  int death_signal = SIGKILL;     // what it gets when the starting thread dies
};

// A running child. Its standard output and error are ours. Safe to use from any thread.
class Process {
 public:
  // `on_exit` is called once, on a thread of its own, when the child has ended. kNotFound: no such user; kIo.
  static StatusOr<std::unique_ptr<Process>> Start(const Command& command, std::function<void()> on_exit);
  // Kills the child where it still runs, and waits for it.
  ~Process();

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  // True when the child has ended within `time`.
  bool WaitFor(absl::Duration time);
  // "exit 1", "signal 9"; empty while it runs.
  std::string Ending();

 private:
  Process(pid_t pid, std::function<void()> on_exit);
  void Await();

  const pid_t pid_;
  const std::function<void()> on_exit_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::string ending_;  // guarded by mutex_
  std::thread waiter_;
};

// Runs `command` to its end and returns what it printed on standard output. kUnavailable with how it ended
// when that was not with exit 0.
StatusOr<std::string> RunToEnd(const Command& command);

}  // namespace keyhold::engine
