// The child processes of `keyhold start`: started, known to be ready, started again when they die, ended in
// order.
//
// A child says `ready ADDR:PORT` or `failed MESSAGE` in its first line on stdout (services.h); its stderr is
// appended to its log. Children are sessions of their own, so that Ctrl-C at the terminal is the
// supervisor's alone, and get `parent_death_signal` should the supervisor be killed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::app {

struct ChildSpec {
  std::string name;                    // "server"
  std::vector<std::string> arguments;  // the first is the program
  std::map<std::string, std::string> environment;
  std::string log_path;
  int parent_death_signal = 15;
  absl::Duration stop_timeout = absl::Seconds(15);  // from SIGTERM to SIGKILL
};

// For the one thread of its process. SIGTERM and SIGINT are blocked from Create() on.
class Supervisor {
 public:
  static StatusOr<std::unique_ptr<Supervisor>> Create();
  virtual ~Supervisor() = default;  // as StopAll()

  // Starts a child; returns the rest of its `ready` line. kUnavailable: it failed, died or was not ready in a
  // minute, with its own words; kFailedPrecondition: a signal asked to stop.
  virtual StatusOr<std::string> Start(const ChildSpec& spec) = 0;

  // Until SIGTERM or SIGINT. A child that dies is started again, after 0.2 s, and twice as long each time up
  // to 30 s while it does not live for a minute; each death is a line on stderr.
  virtual void Watch() = 0;

  // Ends the children, the last first, each after the one before has gone. Idempotent.
  virtual void StopAll() = 0;
};

}  // namespace keyhold::app
