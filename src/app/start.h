// `keyhold start` and `keyhold stop`: everything on this machine, as child processes (docs/architecture.md).
#pragma once

#include <string>

#include "base/status.h"

namespace keyhold::app {

struct StartOptions {
  std::string dir;
  bool background = false;
  std::string api_listen;         // ADDR:PORT; empty: as the last time, at first a free port of 127.0.0.1
  std::string localcloud_listen;  // the same
  std::string probe_interval = "2s";
  std::string data_key_max_age = "720h";
  std::string unreachable_grace = "15m";
  std::string postgres_bin = "/usr/lib/postgresql/15/bin";
  std::string program;  // this executable, absolute
};

// Until SIGTERM or SIGINT, which end all it started, nodes too; in the background, until all is ready. Prints
// progress, and last a line starting "ready". To be called before any thread is made.
// kFailedPrecondition: DIR is in use, or another version's. kUnavailable: a port is busy, a service failed.
Status RunStart(const StartOptions& options);

// Returns when all that `keyhold start` runs on `dir` has ended, nodes that outlived their agent included.
// Prints progress; says so when nothing runs. kNotFound: no directory of Keyhold's.
Status RunStop(const std::string& dir);

}  // namespace keyhold::app
