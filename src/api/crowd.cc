#include "api/crowd.h"

#include <sys/socket.h>

namespace keyhold::api {

Crowd::Waiting::Waiting(Crowd& crowd, int socket, Instant since) : crowd_(crowd), entry_(since, socket) {
  const std::lock_guard lock(crowd_.mutex_);
  crowd_.waiting_.insert(entry_);
  crowd_.MakeRoom();
}

Crowd::Waiting::~Waiting() {
  const std::lock_guard lock(crowd_.mutex_);
  crowd_.waiting_.erase(entry_);
}

void Crowd::Arrive() {
  const std::lock_guard lock(mutex_);
  ++here_;
  MakeRoom();
}

void Crowd::Leave(int socket) {
  const std::lock_guard lock(mutex_);
  --here_;
  cut_.erase(socket);
}

// Under the lock, so that the socket is not closed, and its number another's, meanwhile.
void Crowd::MakeRoom() {
  if (waiting_.empty() || here_ <= room_ + cut_.size()) return;
  const int socket = waiting_.begin()->second;
  waiting_.erase(waiting_.begin());
  cut_.insert(socket);
  shutdown(socket, SHUT_RDWR);
}

}  // namespace keyhold::api
