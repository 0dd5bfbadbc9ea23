// The ciphertext blob of the local cloud's AWS KMS. docs/formats/localcloud-aws-ciphertext.md is its page.
//
//   version     1 byte   kCiphertextVersion
//   id size     1 byte   n, 1 to 64
//   key id      n bytes  of the KMS key
//   material    4 bytes  version of the key's material, big endian, from 1
//   box         rest     nonce (12) | ciphertext | tag (16), AES-256-GCM under that material
//
// Everything before the box, and the encryption context, are associated data. Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "crypto/aead.h"

namespace keyhold::localcloud::aws {

inline constexpr uint8_t kCiphertextVersion = 1;
inline constexpr size_t kMaxPlaintext = 4096;
inline constexpr size_t kMaxCiphertext = 6144;

using EncryptionContext = std::map<std::string, std::string>;

struct CiphertextHeader {
  std::string key_id;
  uint32_t material = 0;
};

// The blob of `plaintext` under `material_key` (32 bytes), bound to `header` and `context`.
std::string SealCiphertext(const CiphertextHeader& header, const EncryptionContext& context,
                           crypto::Bytes material_key, crypto::Random& random, crypto::Bytes plaintext);

// Which key and material `blob` names; nothing is verified. kCorrupt when it is not a blob of this format.
StatusOr<CiphertextHeader> ReadCiphertextHeader(std::string_view blob);

// kCorrupt unless `blob` was sealed with this key under the same context.
StatusOr<crypto::SecretBytes> OpenCiphertext(std::string_view blob, const EncryptionContext& context,
                                             crypto::Bytes material_key);

}  // namespace keyhold::localcloud::aws
