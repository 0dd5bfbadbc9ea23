// One node: a store opened with the customer's key, PostgreSQL on it, the gateway in front; locked when the
// key is taken away, and back when it returns.
//
// One thread carries out everything that changes the node (state x event -> action: node/machine.h); calls
// from other threads leave a wish and wake it. What a crash leaves at any instant is put right by the next
// Start().
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/posix.h"
#include "crypto/random.h"
#include "kms/kms.h"
#include "wire/node.h"

namespace keyhold::node {

struct NodeOptions {
  std::string dir;         // DIR/nodes/ID; desired.json is there
  std::string mountpoint;  // an existing directory that PostgreSQL's user can reach
  std::string socket_dir;  // the same, for PostgreSQL's socket
  std::string postgres_bin = "/usr/lib/postgresql/15/bin";
  std::string postgres_user = "postgres";
};

// All outlive the node.
struct NodeParts {
  Posix& posix;
  Clock& clock;
  crypto::Random& random;
  kms::KmsProvider& kms;
};

// Safe to use from any thread.
class Node {
 public:
  // Starts to converge to desired.json; the gateway and the control socket (run/control.sock) answer when it
  // returns. kInvalidArgument, kCorrupt: desired.json; kIo: a port or file.
  static StatusOr<std::unique_ptr<Node>> Start(const NodeOptions& options, const NodeParts& parts);
  virtual ~Node() = default;  // as Stop() and Wait()

  // Its status once that is newer than version `after`, or when `wait` is over.
  virtual wire::NodeStatus AwaitStatus(uint64_t after, absl::Duration wait) = 0;

  // Ends sessions, stops PostgreSQL, unmounts, wipes the keys. Returns at once; Wait() returns when it is
  // done.
  virtual void Stop() = 0;
  virtual void Wait() = 0;
};

}  // namespace keyhold::node
