// Processes that outlive their parent: started in a session of their own, found again by a file, watched by a
// descriptor.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace keyhold::agent {

struct ProcessSpec {
  std::vector<std::string> command;                // command[0] is a path
  std::map<std::string, std::string> environment;  // all of it
  std::string log_path;                            // stdout and stderr are appended there
  std::string pid_path;                            // where the next agent finds it
};

// A running process: a child, or one found again. Movable; does not end the process when it goes.
class Process {
 public:
  Process() = default;
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  // Starts it with no descriptors but 0 to 2. Its pid file is on the disk before its program runs, so that no
  // crash of the agent leaves one that cannot be found. kIo: the file or the program.
  static StatusOr<Process> Spawn(const ProcessSpec& spec);

  // The process of a pid file, if it still runs; kNotFound otherwise.
  static StatusOr<Process> Find(const std::string& pid_path);

  bool running() const { return pidfd_ >= 0; }
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_; }  // readable when the process has ended

  // After it has ended: "exit code 1", "signal 9"; reaps a child. running() is false then.
  std::string Reap();

  void Signal(int signal) const;

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
};

}  // namespace keyhold::agent
