// Hashes and key derivation: SHA-256 (FIPS 180-4), HMAC (FIPS 198-1), HKDF (RFC 5869), PBKDF2 (RFC 8018).
#pragma once

#include <array>

#include "crypto/secret.h"

namespace keyhold::crypto {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest Sha256(Bytes data);
Sha256Digest HmacSha256(Bytes key, Bytes data);

// HKDF-SHA-256 with an empty salt, for input keys that are uniformly random. `info` names the purpose and
// binds what the result is for; `size` is at most 8160.
SecretBytes Hkdf(Bytes key, Bytes info, size_t size);

// As above, as a key of its type.
template <typename KeyType>
KeyType DeriveKey(Bytes key, Bytes info) {
  return *KeyType::From(Hkdf(key, info, KeyType::kSize));
}

// PBKDF2-HMAC-SHA-256, 32 bytes: what SCRAM-SHA-256 (RFC 5802, 7677) calls SaltedPassword.
SecretBytes Pbkdf2(Bytes password, Bytes salt, int iterations);

// In time that depends on the sizes alone.
bool ConstantTimeEqual(Bytes a, Bytes b);

// Lower case.
std::string Hex(Bytes bytes);

}  // namespace keyhold::crypto
