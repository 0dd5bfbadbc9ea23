// Authenticated encryption: AES-256-GCM (NIST SP 800-38D) for everything with a nonce, AES-256-SIV (RFC 5297)
// where equal plaintexts must give equal ciphertexts (file names).
//
// A nonce must never be used twice under one key. Nonces here are 96 random bits, taken by the caller where
// the key's use is counted: SP 800-38D section 8.3 allows 2^32 of them per key.
#pragma once

#include <array>
#include <memory>

#include "crypto/random.h"
#include "crypto/secret.h"

namespace keyhold::crypto {

inline constexpr size_t kGcmNonceSize = 12;
inline constexpr size_t kGcmTagSize = 16;
using GcmNonce = std::array<uint8_t, kGcmNonceSize>;

// AES-256-GCM under one key, expanded once. Safe to use from any thread.
class Aes256Gcm {
 public:
  // `key` has 32 bytes; it is copied into OpenSSL's context.
  explicit Aes256Gcm(Bytes key);
  ~Aes256Gcm();
  Aes256Gcm(const Aes256Gcm&) = delete;
  Aes256Gcm& operator=(const Aes256Gcm&) = delete;

  // Encrypts `plaintext` to `ciphertext` (same size; may be the same memory) and writes the 16 byte `tag`.
  void Seal(const GcmNonce& nonce, Bytes associated_data, Bytes plaintext, uint8_t* ciphertext,
            uint8_t* tag) const;

  // The inverse. False when the tag does not fit: `plaintext` then holds zeroes.
  [[nodiscard]] bool Open(const GcmNonce& nonce, Bytes associated_data, Bytes ciphertext, const uint8_t* tag,
                          uint8_t* plaintext) const;

 private:
  class Contexts;
  std::unique_ptr<Contexts> contexts_;
};

// One message in one box: nonce (12) | ciphertext | tag (16), under a 32 byte `key`. For wrapping keys.
inline constexpr size_t kBoxOverhead = kGcmNonceSize + kGcmTagSize;
std::string SealBox(Bytes key, Random& random, Bytes associated_data, Bytes plaintext);
// kCorrupt when `box` was not made by SealBox with this key and these data.
StatusOr<SecretBytes> OpenBox(Bytes key, Bytes associated_data, Bytes box);

// AES-256-SIV under one key, expanded once: to expand it costs three times what a name does. Neither text is
// empty: OpenSSL 3.0 passes over what is (CVE-2023-2975), and would open any 16 bytes as an empty plaintext.
// Safe to use from any thread.
inline constexpr size_t kSivKeySize = 64;
inline constexpr size_t kSivOverhead = 16;
class Aes256Siv {
 public:
  // `key` has 64 bytes; it is copied into OpenSSL's context.
  explicit Aes256Siv(Bytes key);
  ~Aes256Siv();
  Aes256Siv(Aes256Siv&&) noexcept;
  Aes256Siv& operator=(Aes256Siv&&) noexcept;

  // Synthetic IV (16) | ciphertext.
  std::string Seal(Bytes associated_data, Bytes plaintext) const;
  // kCorrupt when it does not authenticate, as nothing does that has no ciphertext.
  StatusOr<std::string> Open(Bytes associated_data, Bytes sealed) const;

 private:
  struct Keyed;
  std::unique_ptr<Keyed> keyed_;
};

}  // namespace keyhold::crypto
