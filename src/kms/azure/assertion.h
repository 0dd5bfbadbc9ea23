// Client assertions: proof, by a private key, of being an application (RFC 7523).
//
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials: a JWT of alg PS256, the
// certificate's SHA-256 thumbprint in x5t#S256.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "crypto/random.h"

namespace keyhold::kms::azure {

// A certificate and its RSA key, out of one PEM file.
class ClientCertificate {
 public:
  // kKmsBadCredentials: no certificate or no unencrypted RSA key in `pem`, or they do not fit each other.
  static StatusOr<ClientCertificate> FromPem(const crypto::SecretBytes& pem);
  ClientCertificate(ClientCertificate&&) noexcept;
  ~ClientCertificate();

  // An assertion of `client_id` for `audience`, valid for ten minutes from `now`.
  StatusOr<crypto::SecretBytes> Assert(const std::string& client_id, const std::string& audience,
                                       absl::Time now, crypto::Random& random) const;

  // Base64url (RFC 4648 section 5) of the SHA-256 of the certificate.
  const std::string& thumbprint() const;

 private:
  struct Parts;
  explicit ClientCertificate(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Base64url without padding. Decoding is strict; kKmsCorrupt.
crypto::SecretBytes EncodeBase64Url(crypto::Bytes bytes);
StatusOr<crypto::SecretBytes> DecodeBase64Url(std::string_view text);

}  // namespace keyhold::kms::azure
