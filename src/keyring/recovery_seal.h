// A store key sealed to a recovery key: RSA-OAEP (crypto/rsa.h), with the ring's identity for its label, so
// that it opens for no other store. docs/formats/keyring.md.
#pragma once

#include <string>

#include "crypto/rsa.h"
#include "keyring/keyring.h"

namespace keyhold::keyring {

inline constexpr std::string_view kSealLabel = "keyhold recovery seal v1";

StatusOr<std::string> Seal(const crypto::RsaPublicKey& key, crypto::Bytes store_key,
                           const Identity& identity);

// kCorrupt: not by this key, of another store, or damaged.
StatusOr<crypto::SecretBytes> Unseal(const crypto::RsaPrivateKey& key, crypto::Bytes sealed,
                                     const Identity& identity);

}  // namespace keyhold::keyring
