// Who may come in through the gateway: nobody until PostgreSQL runs and has the users that are wanted.
//
// Three threads have a say in that (the worker, the one that applies users, the one that stops the node);
// here is the one place where the gateway is opened, and a lock always wins.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "gateway/gateway.h"

namespace keyhold::node {

// Safe to use from any thread.
class Door {
 public:
  explicit Door(std::unique_ptr<gateway::Gateway> gateway) : gateway_(std::move(gateway)) {}

  // Ends sessions and refuses new ones, until both calls below have come again (`users_too`) or EngineUp().
  void Shut(Cause cause, const std::string& message, bool users_too);

  void EngineUp();
  // True when this is news.
  bool UsersKnown();

  gateway::Gateway& gateway() { return *gateway_; }

 private:
  void OpenIfReady();

  const std::unique_ptr<gateway::Gateway> gateway_;
  std::mutex mutex_;
  bool engine_up_ = false;  // guarded by mutex_, as is users_known_
  bool users_known_ = false;
};

}  // namespace keyhold::node
