// The ciphertext of the local cloud's Cloud KMS. docs/formats/localcloud-gcp-ciphertext.md is its page.
//
//   format      1 byte   kCiphertextFormat
//   version     4 bytes  number of the key version, big endian, from 1
//   box         rest     nonce (12) | ciphertext | tag (16), AES-256-GCM under that version's material
//
// What is before the box, the key's name and the additional authenticated data are associated data. Pure
// functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/aead.h"

namespace keyhold::localcloud::gcp {

inline constexpr uint8_t kCiphertextFormat = 1;
inline constexpr size_t kMaxPlaintext = 64 << 10;  // bytes, as Cloud KMS has it for software keys
inline constexpr size_t kMaxHsmInput = 8 << 10;    // plaintext and additional data together, HSM keys

// `plaintext` under `material` (32 bytes), the version `number` of the key `name`, bound to `aad`.
std::string SealCiphertext(std::string_view name, uint32_t number, crypto::Bytes material, crypto::Bytes aad,
                           crypto::Random& random, crypto::Bytes plaintext);

// The version number that `blob` names; nothing is verified. kCorrupt when it is not of this format.
StatusOr<uint32_t> VersionIn(std::string_view blob);

// kCorrupt unless `blob` was sealed with this material for the same name and data.
StatusOr<crypto::SecretBytes> OpenCiphertext(std::string_view name, std::string_view blob, crypto::Bytes aad,
                                             crypto::Bytes material);

}  // namespace keyhold::localcloud::gcp
