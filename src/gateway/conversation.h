// What the gateway reads and changes in a session's two streams, without sockets: rewrites on the way in; the
// cancel key, SASL mechanisms and error positions on the way out.
//
// Used by one thread. The two streams share what one learns for the other.
#pragma once

#include <functional>
#include <memory>

#include "gateway/message_stream.h"
#include "gateway/rewrite.h"
#include "gateway/statement_edits.h"

namespace keyhold::gateway {

// Given the server's process id and secret, returns the secret that the client is told.
using KeySwap = std::function<uint32_t(uint32_t pid, uint32_t secret)>;

struct ConversationOptions {
  const ClusterSettings* settings = nullptr;  // must outlive the conversation
  size_t max_rewrite_bytes = 0;
  KeySwap swap_key;
};

class Conversation {
 public:
  explicit Conversation(ConversationOptions options);
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // From the client, after its startup message. Before authentication nothing but its answers may pass.
  MessageStream& from_client();
  MessageStream& from_server();

  // Statements rewritten so far.
  uint64_t rewritten() const;
  // True once the client has said goodbye.
  bool terminated() const;
  // True once the client has logged in and was told that it may ask.
  bool started() const;

 private:
  struct State;
  class FromClient;
  class FromServer;
  std::unique_ptr<State> state_;
  std::unique_ptr<FromClient> from_client_;
  std::unique_ptr<FromServer> from_server_;
};

}  // namespace keyhold::gateway
