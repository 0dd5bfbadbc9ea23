// The middle of a session: moves bytes both ways through a Conversation, and never holds more for one side
// than one read of the other (and the statements that it rewrites): who does not take, is not read for.
//
// No waiting in here: each step says what to wait for. Used by one thread.
#pragma once

#include <span>
#include <string>

#include "gateway/conversation.h"
#include "gateway/server_channel.h"
#include "gateway/tls.h"

namespace keyhold::gateway {

enum class Next {
  kClientReadable,
  kClientWritable,
  kServerReadable,
  kServerWritable,
  kAgain,   // more can be done at once; let others have a turn first
  kEnd,     // the side that was read from is gone
  kBroken,  // it broke the protocol: error()
};

class Relay {
 public:
  // `front`, `client` and `server` must outlive it.
  Relay(Front& front, ClientChannel& client, ServerChannel& server);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Sends the client's startup message on; the rest follows with FromClient().
  void Begin(std::string startup) { to_server_ = std::move(startup); }

  // One step of each direction, reading into `buffer`.
  Next FromClient(std::span<char> buffer);
  Next FromServer(std::span<char> buffer);

  // Adds `bytes` behind what the client is being sent, and sends. kEnd: all of it is out.
  Next ToClient(std::string_view bytes);

  Conversation& conversation() { return conversation_; }
  const Status& error() const { return error_; }

 private:
  Next SendToServer(const Outgoing& out);
  Next FlushToServer();
  Next SendToClient(const Outgoing& out);
  Next FlushToClient();

  Front& front_;
  ClientChannel& client_;
  ServerChannel& server_;
  uint32_t pid_ = 0;
  uint32_t client_secret_ = 0;
  Conversation conversation_;
  Outgoing out_;           // of one read; kept for its memory
  std::string to_server_;  // taken from the client, not yet taken by the server
  std::string to_client_;
  Status error_;
};

}  // namespace keyhold::gateway
