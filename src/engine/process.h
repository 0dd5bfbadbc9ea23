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

struct OsUser {
  uid_t uid;
  gid_t gid;
};

// The operating system's user `name`. kNotFound.
StatusOr<OsUser> FindOsUser(const std::string& name);

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
  // `on_exit` is called once, on a thread of its own, when the child has ended. kNotFound: no such user or
  // program; kIo.
  static StatusOr<std::unique_ptr<Process>> Start(const Command& command, std::function<void()> on_exit);
  // Kills the child where it still runs, and waits for it.
  ~Process();

  // Nothing happens when the child has ended.
  void Signal(int signal);
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

// Runs `command` to its end and returns what it printed on standard output. kUnavailable when it ended with
// anything but exit 0, or had not ended within `time` and was killed; else as Process::Start.
StatusOr<std::string> RunToEnd(const Command& command, absl::Duration time);

// Kills every process of `user` that works in `directory`, an absolute path, whoever started it, and returns
// when none is left: PostgreSQL's processes work in their data directory, each in a session of its own, and
// outlive a killed postmaster for as long as they compute. kUnavailable: one cannot be killed (it waits for a
// disk); kIo.
Status EndProcessesIn(const std::string& directory, const OsUser& user);

}  // namespace keyhold::engine
