#include "gateway/cancel_keys.h"

#include <openssl/crypto.h>

#include <array>
#include <cstring>

namespace keyhold::gateway {

uint32_t CancelKeys::Add(uint32_t pid, uint32_t server_secret) {
  std::array<uint8_t, 4> bytes{};
  random_.Fill(bytes);
  uint32_t client_secret = 0;
  std::memcpy(&client_secret, bytes.data(), bytes.size());
  const std::scoped_lock lock(mutex_);
  by_pid_[pid] = {.client = client_secret, .server = server_secret};
  return client_secret;
}

void CancelKeys::Remove(uint32_t pid, uint32_t client_secret) {
  const std::scoped_lock lock(mutex_);
  const auto found = by_pid_.find(pid);
  if (found != by_pid_.end() && found->second.client == client_secret) by_pid_.erase(found);
}

std::optional<uint32_t> CancelKeys::Find(uint32_t pid, uint32_t client_secret) const {
  const std::scoped_lock lock(mutex_);
  const auto found = by_pid_.find(pid);
  if (found == by_pid_.end()) return std::nullopt;
  if (CRYPTO_memcmp(&found->second.client, &client_secret, sizeof(client_secret)) != 0) return std::nullopt;
  return found->second.server;
}

}  // namespace keyhold::gateway
