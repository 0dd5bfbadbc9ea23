// Whatever bytes come, in whatever pieces: a startup packet parses or is refused, and a conversation passes,
// changes or refuses, without a fault. The first byte chooses the size of the pieces.
#include "gateway/conversation.h"

using namespace keyhold::gateway;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t step = data[0] % 64 + 1;
  if (const auto packet = ParseStartup(bytes); packet.ok()) CheckStartup(packet->startup).IgnoreError();
  const ClusterSettings settings;
  Conversation conversation({.settings = &settings,
                             .max_rewrite_bytes = 1 << 16,
                             .swap_key = [](uint32_t, uint32_t s) { return s; }});
  Outgoing login;
  conversation.from_server().Feed(Message('R', U32(0)), login).IgnoreError();
  for (MessageStream* stream : {&conversation.from_client(), &conversation.from_server()}) {
    for (size_t at = 0; at < bytes.size(); at += step) {
      Outgoing out;
      if (!stream->Feed(bytes.substr(at, step), out).ok()) break;
    }
  }
  return 0;
}
