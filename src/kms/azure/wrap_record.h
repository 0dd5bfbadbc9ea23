// What Azure's wrapKey is given, and what is kept of its answer: docs/formats/azure-wrap.md.
//
// The wrap of Key Vault takes no associated data, so the context is bound inside: a digest of it stands
// before the secret in what is wrapped, and unwrapping compares it.
#pragma once

#include <string>

#include "kms/kms.h"

namespace keyhold::kms::azure {

inline constexpr uint8_t kRecordFormat = 1;
inline constexpr uint8_t kRsaOaep256 = 1;   // RSA-OAEP with SHA-256 and MGF1 with SHA-256, RFC 8017
inline constexpr size_t kVersionSize = 32;  // of a key version, hexadecimal
inline constexpr size_t kDigestSize = 32;   // SHA-256
inline constexpr size_t kRecordHeaderSize = 2 + kVersionSize;
// RSA-OAEP-256 under the smallest key, 2048 bits, takes 190 bytes (256 - 2 * 32 - 2).
inline constexpr size_t kMaxPlaintextSize = 190;
inline constexpr size_t kMaxWrappable = kMaxPlaintextSize - 1 - kDigestSize;  // bytes of secret: 157

// format (1) | digest of `context` (32) | `secret`.
crypto::SecretBytes MakePlaintext(crypto::Bytes secret, const Context& context);

// The secret. kKmsCorrupt: another format, or bound to another context.
StatusOr<crypto::SecretBytes> OpenPlaintext(crypto::Bytes plaintext, const Context& context);

// format (1) | algorithm (1) | key version (32) | ciphertext.
struct WrapRecord {
  std::string version;
  std::string ciphertext;
};
std::string EncodeRecord(const WrapRecord& record);

// kKmsCorrupt: not such a record.
StatusOr<WrapRecord> DecodeRecord(crypto::Bytes record);

}  // namespace keyhold::kms::azure
