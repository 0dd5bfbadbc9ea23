// Randomness as an argument.
#pragma once

#include "crypto/secret.h"

namespace keyhold::crypto {

// Safe to use from any thread.
class Random {
 public:
  virtual ~Random() = default;
  // Fills `out`, for ids and nonces. Aborts the process when the system has no randomness: nothing safe can
  // follow.
  virtual void Fill(MutableBytes out) = 0;
  // The same from the generator that OpenSSL keeps for private keys.
  virtual void FillSecret(MutableBytes out) = 0;

  SecretBytes Secret(size_t size) {
    SecretBytes secret(size);
    FillSecret(secret.ExposeMutable());
    return secret;
  }
};

// OpenSSL's DRBG, seeded by the kernel (NIST SP 800-90A). Never destroyed.
Random& SystemRandom();

// A fresh random key of its type.
template <typename KeyType>
KeyType NewKey(Random& random) {
  return *KeyType::From(random.Secret(KeyType::kSize));
}

// A random (version 4) UUID, RFC 9562, in lower case.
std::string NewUuid(Random& random);

}  // namespace keyhold::crypto
