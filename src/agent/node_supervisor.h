// One node of this host: what keeps its process and its desired state as the server wants them.
//
// Two threads each: one converges (start, adopt, hand over desired state, stop, remove), one carries the
// node's status to the server as soon as it changes.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent/agent.h"
#include "wire/node.h"

namespace keyhold::agent {

// Ports that nodes of this host have, so that no two get the same. They are held by sockets that do not
// listen: a node may be down for a while, and another agent on this machine would give its port away. Safe to
// use from any thread.
class Ports {
 public:
  explicit Ports(std::string address, uint16_t first) : address_(std::move(address)), first_(first) {}
  ~Ports();
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;

  // Keeps `port` from being given to another node, and holds it where nobody listens there. May be repeated.
  void Reserve(uint16_t port);

  // The first port from the start that is neither reserved nor bound by another program; reserves it.
  // kResourceExhausted.
  StatusOr<uint16_t> Take();

  void Release(uint16_t port);

 private:
  const std::string address_;
  const uint16_t first_;
  std::mutex mutex_;
  std::map<uint16_t, int> taken_;  // to the socket that holds it, or -1; guarded by mutex_
};

// What a supervisor tells the server. Called from its threads; returns when the server has it, or fails with
// kUnavailable.
class Reports {
 public:
  virtual ~Reports() = default;
  virtual Status PutStatus(const wire::NodeStatus& status) = 0;
  virtual Status Removed(const std::string& node_id) = 0;
};

class NodeSupervisor {
 public:
  // `options`, `ports` and `reports` must outlive it.
  static std::unique_ptr<NodeSupervisor> Start(const AgentOptions& options, Ports& ports, Reports& reports,
                                               const std::string& node_id);
  virtual ~NodeSupervisor() = default;  // as Stop(kLeaveRunning)

  // What the node should be from now on; its sql_listen is filled in here.
  virtual void Want(const wire::DesiredNode& desired) = 0;

  // Stops the node, deletes its files, key ring first, and reports it, over crashes of the agent.
  virtual void Remove() = 0;

  // True when Remove() is done and the server knows: the supervisor may go.
  virtual bool removed() const = 0;

  // Asks the node to try a key; blocks for as long as that takes.
  virtual StatusOr<wire::CheckReport> Check(const wire::KeySpec& spec, const std::string& region) = 0;

  virtual void Stop(NodesFate fate) = 0;
};

}  // namespace keyhold::agent
