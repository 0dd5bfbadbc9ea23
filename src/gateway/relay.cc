#include "gateway/relay.h"

#include <utility>

namespace keyhold::gateway {
namespace {

constexpr int kReadsPerStep = 4;

Next ForClient(IoResult result) {
  if (result == IoResult::kWantRead) return Next::kClientReadable;
  if (result == IoResult::kWantWrite) return Next::kClientWritable;
  return Next::kEnd;
}

}  // namespace

Relay::Relay(Front& front, ClientChannel& client, ServerChannel& server)
    : front_(front),
      client_(client),
      server_(server),
      conversation_({.settings = &front.settings,
                     .max_rewrite_bytes = front.limits.max_rewrite_bytes,
                     .swap_key = [this](uint32_t pid, uint32_t secret) {
                       pid_ = pid;
                       client_secret_ = front_.cancel_keys.Add(pid, secret);
                       return client_secret_;
                     }}) {}

Relay::~Relay() {
  if (pid_ != 0) front_.cancel_keys.Remove(pid_, client_secret_);
}

// kAgain: all is out.
Next Relay::FlushToServer() {
  while (!to_server_.empty()) {
    size_t put = 0;
    const IoResult result = server_.Write(to_server_, &put);
    if (result == IoResult::kWantWrite) return Next::kServerWritable;
    if (result != IoResult::kDone) return Next::kEnd;
    to_server_.erase(0, put);
  }
  std::string().swap(to_server_);
  return Next::kAgain;
}

Next Relay::SendToServer(const Outgoing& out) {
  size_t put = 0;
  const IoResult result = out.size() == 0 ? IoResult::kDone : server_.Write(out, &put);
  if (result != IoResult::kDone && result != IoResult::kWantWrite) return Next::kEnd;
  if (put == out.size()) return Next::kAgain;
  to_server_ = out.CopyFrom(put);
  return FlushToServer();
}

Next Relay::FromClient(std::span<char> buffer) {
  Next next = FlushToServer();
  for (int i = 0; i < kReadsPerStep && next == Next::kAgain; ++i) {
    size_t got = 0;
    const IoResult result = client_.Read(buffer.data(), buffer.size(), &got);
    if (result != IoResult::kDone) return ForClient(result);
    front_.counters.bytes_from_clients.fetch_add(got, std::memory_order_relaxed);
    out_.Clear();
    const uint64_t rewritten = conversation_.rewritten();
    error_ = conversation_.from_client().Feed({buffer.data(), got}, out_);
    if (!error_.ok()) return Next::kBroken;
    front_.counters.rewritten += conversation_.rewritten() - rewritten;
    next = SendToServer(out_);
    // Most clients wait for an answer now: wait too, instead of a read that finds nothing.
    if (next == Next::kAgain && client_.Drained()) return Next::kClientReadable;
  }
  return next;
}

Next Relay::FlushToClient() {
  while (!to_client_.empty()) {
    size_t put = 0;
    const IoResult result = client_.Write(to_client_, &put);
    if (result != IoResult::kDone) return ForClient(result);
    to_client_.erase(0, put);
  }
  std::string().swap(to_client_);
  return Next::kAgain;
}

Next Relay::SendToClient(const Outgoing& out) {
  size_t sent = 0;
  for (std::string_view piece : out.pieces()) {
    while (!piece.empty()) {
      size_t put = 0;
      const IoResult result = client_.Write(piece, &put);
      if (result != IoResult::kDone) {
        to_client_ = out.CopyFrom(sent);
        return ForClient(result);
      }
      piece.remove_prefix(put);
      sent += put;
    }
  }
  return Next::kAgain;
}

Next Relay::FromServer(std::span<char> buffer) {
  Next next = FlushToClient();
  for (int i = 0; i < kReadsPerStep && next == Next::kAgain; ++i) {
    size_t got = 0;
    const IoResult result = server_.Read(buffer.data(), buffer.size(), &got);
    if (result == IoResult::kWantRead) return Next::kServerReadable;
    if (result != IoResult::kDone) return Next::kEnd;
    front_.counters.bytes_to_clients.fetch_add(got, std::memory_order_relaxed);
    out_.Clear();
    error_ = conversation_.from_server().Feed({buffer.data(), got}, out_);
    if (!error_.ok()) return Next::kBroken;
    next = SendToClient(out_);
    if (next == Next::kAgain && got < buffer.size()) return Next::kServerReadable;
  }
  return next;
}

Next Relay::ToClient(std::string_view bytes) {
  to_client_ += bytes;
  const Next next = FlushToClient();
  return next == Next::kAgain ? Next::kEnd : next;
}

}  // namespace keyhold::gateway
