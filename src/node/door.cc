#include "node/door.h"

namespace keyhold::node {

void Door::Shut(Cause cause, const std::string& message, bool users_too) {
  const std::lock_guard lock(mutex_);
  engine_up_ = false;
  if (users_too) users_known_ = false;
  gateway::LockReason reason;
  reason.cause = cause;
  reason.message = message;
  gateway_->Lock(reason);
}

void Door::EngineUp() {
  const std::lock_guard lock(mutex_);
  engine_up_ = true;
  OpenIfReady();
}

bool Door::UsersKnown() {
  const std::lock_guard lock(mutex_);
  if (users_known_) return false;
  users_known_ = true;
  OpenIfReady();
  return true;
}

void Door::OpenIfReady() {
  if (engine_up_ && users_known_) gateway_->Unlock();
}

}  // namespace keyhold::node
