// RSA keys (RFC 8017). As cloud identities have them: signatures RSASSA-PKCS1-v1_5 with SHA-256, which JSON
// Web Tokens call RS256 (RFC 7518 section 3.3). As recovery keys: encryption by RSAES-OAEP, with SHA-256 for
// its hash and for MGF1.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "crypto/secret.h"

namespace keyhold::crypto {

inline constexpr int kMinRsaBits = 2048;
inline constexpr int kMaxRsaBits = 8192;

// A public key. Movable; safe to use from several threads.
class RsaPublicKey {
 public:
  // From SubjectPublicKeyInfo PEM. kInvalidArgument: not that, or not RSA of kMinRsaBits to kMaxRsaBits.
  static StatusOr<RsaPublicKey> FromPem(std::string_view pem);

  // SubjectPublicKeyInfo PEM.
  std::string Pem() const;
  // The SHA-256 of its SubjectPublicKeyInfo in DER, in hexadecimal.
  std::string Fingerprint() const;

  // Bound to `label`. kInvalidArgument: `plaintext` has more bytes than the key's size less 66.
  StatusOr<std::string> Encrypt(Bytes plaintext, Bytes label) const;

 private:
  struct FreeKey {
    void operator()(EVP_PKEY* key) const;
  };
  explicit RsaPublicKey(EVP_PKEY* key) : key_(key) {}
  std::unique_ptr<EVP_PKEY, FreeKey> key_;
};

// A private key. Movable; safe to use from several threads.
class RsaPrivateKey {
 public:
  // From PEM, PKCS #8 or PKCS #1, not encrypted. kInvalidArgument: not that, or not RSA of kMinRsaBits to
  // kMaxRsaBits.
  static StatusOr<RsaPrivateKey> FromPem(Bytes pem);

  // A new one of `bits`.
  static StatusOr<RsaPrivateKey> Generate(int bits);

  // PKCS #8 PEM, not encrypted.
  SecretBytes ToPem() const;
  // SubjectPublicKeyInfo PEM.
  std::string PublicPem() const;

  // The RS256 signature of `data`.
  std::string Sign(Bytes data) const;

  // What RsaPublicKey::Encrypt() was given. kCorrupt: not by this key, not with this label, or damaged.
  StatusOr<SecretBytes> Decrypt(Bytes ciphertext, Bytes label) const;

 private:
  struct FreeKey {
    void operator()(EVP_PKEY* key) const;
  };
  explicit RsaPrivateKey(EVP_PKEY* key) : key_(key) {}
  std::unique_ptr<EVP_PKEY, FreeKey> key_;
};

// OK when `signature` is the RS256 signature of `data` by the key of `public_pem`; kUnauthenticated when not,
// kInvalidArgument when that is no RSA public key.
Status VerifyRs256(std::string_view public_pem, Bytes data, Bytes signature);

}  // namespace keyhold::crypto
