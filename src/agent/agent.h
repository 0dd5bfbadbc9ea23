// The host agent: keeps one `keyhold node` process per node that the server wants on this host.
//
// docs/architecture.md says what it writes below DIR/nodes and what it says to server and nodes. Nodes are
// sessions of their own and outlive the agent; the next agent adopts them by their control sockets. Nothing
// of what it passes on to a node, in arguments, environment or files, is a secret, but for SQL verifiers in
// desired.json (0600).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace keyhold::agent {

struct AgentOptions {
  std::string dir;                // DIR of keyhold start: nodes/ and log/ below it are the agent's
  std::string server_url;         // "http://127.0.0.1:8080"
  std::string token_path;         // the agents' token, DIR/server/agent-token; read at each connection
  std::string host_id = "local";  // who this agent is to the server; its nodes stay with the name
  std::vector<std::string> node_command;  // program and first arguments; "--dir DIR/nodes/ID" is appended:
                                          // {"/usr/bin/keyhold", "node", "--platform-key", FILE, ...}
  std::map<std::string, std::string> node_environment;  // the node's whole environment: PATH,
                                                        // AWS_SHARED_CREDENTIALS_FILE, HTTPS_PROXY ...
  std::string sql_address = "127.0.0.1";                // where gateways listen
  uint16_t first_sql_port = 26257;  // the first free port from here on becomes a new node's
};

enum class NodesFate {
  kLeaveRunning,  // they go on without an agent
  kStop,          // each is stopped cleanly, and killed after 60 s
};

// Safe to use from any thread.
class Agent {
 public:
  // Starts to work; a server that is not there yet is waited for. kInvalidArgument, kIo: DIR or options.
  static StatusOr<std::unique_ptr<Agent>> Start(AgentOptions options);

  // As Stop(kLeaveRunning).
  virtual ~Agent() = default;

  // Returns when the nodes are where `fate` wants them. Idempotent.
  virtual void Stop(NodesFate fate) = 0;
};

// Start, then `ready`, then until SIGTERM (stops the nodes) or SIGINT (leaves them running), which it blocks
// in every thread: call it before any other thread is made.
Status RunAgent(AgentOptions options, const std::function<void()>& ready);

}  // namespace keyhold::agent
