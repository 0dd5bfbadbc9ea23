// `keyhold node`: one node in a process of its own.
#pragma once

#include <functional>
#include <string>

#include "kms/credentials.h"

namespace keyhold::node {

struct RunOptions {
  std::string dir;           // DIR/nodes/ID
  std::string platform_key;  // path of the platform's own key; made if it is missing
  std::string postgres_bin = "/usr/lib/postgresql/15/bin";
  kms::Environment environment;  // credentials, proxy and CA variables, read by app
};

// Runs until SIGTERM, SIGINT or POST /stop, then stops cleanly. To be called before any other thread is made:
// it moves the process into a mount namespace of its own, in which the store is mounted, out of other
// processes' sight. `ready` is called when gateway and control socket answer.
Status RunNode(const RunOptions& options, const std::function<void()>& ready);

}  // namespace keyhold::node
