// `prism proxy` between a client and a server: it holds every request and answer against an OpenAPI document.
//
// Prism is npm's @stoplight/prism-cli 5. KEYHOLD_PRISM names a directory with it; else it is installed once
// into $XDG_CACHE_HOME/keyhold/prism (~/.cache/keyhold/prism), outside the build tree.
#pragma once

#include <sys/types.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/status.h"

namespace keyhold::api {

// The path of Prism's program, installed if need be. kUnavailable: there is no npm, or it reaches no
// registry.
StatusOr<std::string> FindPrism();

class Prism {
 public:
  // Listening between `port()` and http://127.0.0.1:`upstream` when it returns.
  static StatusOr<std::unique_ptr<Prism>> Start(const std::string& program, const std::string& document,
                                                int upstream);
  ~Prism();

  int port() const { return port_; }

 private:
  Prism(pid_t pid, int output, int port);

  pid_t pid_;
  int port_;
  std::promise<void> listening_;
  std::thread reader_;  // of what it prints, until it ends
};

}  // namespace keyhold::api
