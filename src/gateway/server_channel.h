// One connection to PostgreSQL on its Unix socket, never blocking. Counted by the Front from Connect() to
// Close(), so that Lock() can wait for the last one. Used by one thread.
#pragma once

#include <string_view>

#include "gateway/front.h"
#include "gateway/message_stream.h"

namespace keyhold::gateway {

class ServerChannel {
 public:
  // Not connected. `front` must outlive it.
  explicit ServerChannel(Front& front) : front_(front) {}
  ~ServerChannel() { Close(); }
  ServerChannel(const ServerChannel&) = delete;
  ServerChannel& operator=(const ServerChannel&) = delete;

  // kConflict: the gate is shut, or PostgreSQL's queue is full: try again in a moment;
  // kUnavailable: nobody listens.
  Status Connect();
  // The descriptor, for waiting; -1 when not connected.
  int fd() const { return fd_; }

  IoResult Read(char* out, size_t size, size_t* got);
  // As many of the bytes as fit: `*put`.
  IoResult Write(const Outgoing& bytes, size_t* put);
  IoResult Write(std::string_view bytes, size_t* put);

  // Safe to call again.
  void Close();

 private:
  Front& front_;
  int fd_ = -1;
};

}  // namespace keyhold::gateway
