// RSA keys of Key Vault, by OpenSSL: made, kept as PKCS #8, used with the algorithms of JWA (RFC 7518).
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "crypto/secret.h"

namespace keyhold::localcloud::azure {

class RsaKey {
 public:
  // `bits` is 2048, 3072 or 4096.
  static StatusOr<RsaKey> Generate(int bits);
  // The inverse of ToDer(). kCorrupt.
  static StatusOr<RsaKey> FromDer(crypto::Bytes der);

  // PKCS #8, DER, in clear.
  crypto::SecretBytes ToDer() const;

  // Modulus and exponent, big endian, without leading zeroes.
  std::string Modulus() const;
  std::string Exponent() const;

  // `algorithm` is RSA1_5, RSA-OAEP or RSA-OAEP-256. kInvalidArgument: unknown, or the text is too long, or
  // (for Decrypt) does not decrypt.
  StatusOr<std::string> Encrypt(std::string_view algorithm, crypto::Bytes text) const;
  StatusOr<crypto::SecretBytes> Decrypt(std::string_view algorithm, crypto::Bytes text) const;

  // RSASSA-PKCS1-v1_5 with SHA-256 (RS256).
  std::string Sign(std::string_view text) const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const;
  };
  explicit RsaKey(EVP_PKEY* key) : key_(key) {}
  std::unique_ptr<EVP_PKEY, Free> key_;
};

// A self-signed certificate and its key in one PEM text, and the base64url of the certificate's SHA-256.
struct MadeCertificate {
  crypto::SecretBytes pem;
  std::string certificate_pem;
};
StatusOr<MadeCertificate> MakeCertificate(const std::string& common_name);

std::string ThumbprintOf(const std::string& certificate_pem);

// OK when `signature` over `text` is by the key of `certificate_pem`. `algorithm` is PS256 or RS256.
// kUnauthenticated otherwise.
Status VerifySignature(const std::string& certificate_pem, std::string_view algorithm, std::string_view text,
                       crypto::Bytes signature);
// The same for RS256 by `key` itself.
Status VerifySignature(const RsaKey& key, std::string_view text, crypto::Bytes signature);

// Base64url without padding (RFC 4648 section 5). Decoding is strict: kInvalidArgument.
std::string Base64Url(crypto::Bytes bytes);
StatusOr<std::string> FromBase64Url(std::string_view text);

}  // namespace keyhold::localcloud::azure
