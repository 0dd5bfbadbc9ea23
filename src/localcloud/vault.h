// Seals what must not be readable in the database: key material, secret access keys, session tokens.
//
// A stand-in for an HSM: the sealing key is the file hsm.key beside the database, so this keeps secrets out
// of copies of the database, and not from whoever reads both. Safe to use from any thread.
#pragma once

#include <string>

#include "crypto/aead.h"
#include "crypto/random.h"

namespace keyhold::localcloud {

class Vault {
 public:
  // `key` has 32 bytes.
  Vault(crypto::SecretBytes key, crypto::Random& random) : key_(std::move(key)), random_(random) {}

  // The sealed `secret` as text (base64), bound to `label`, which names what and whose it is.
  std::string Seal(std::string_view label, crypto::Bytes secret) const;

  // The inverse. kCorrupt when `sealed` was not sealed here under the same label.
  StatusOr<crypto::SecretBytes> Open(std::string_view label, std::string_view sealed) const;

  crypto::Random& random() const { return random_; }

 private:
  crypto::SecretBytes key_;
  crypto::Random& random_;
};

}  // namespace keyhold::localcloud
