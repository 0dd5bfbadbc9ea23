#include "kms/azure/assertion.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crypto/hash.h"
#include "crypto/openssl_ptr.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::azure {
namespace {

constexpr absl::Duration kLifetime = absl::Minutes(10);

using Key = crypto::KeyPtr;
using crypto::X509Ptr;
using Bio = crypto::BioPtr;
using Digest = crypto::DigestContextPtr;

Status Bad(std::string_view why) {
  return Error(Cause::kKmsBadCredentials,
               StrCat({"the client certificate (AZURE_CLIENT_CERTIFICATE_PATH) ", why,
                       "; give a PEM file with the certificate and its RSA key"}));
}

Bio Reader(const crypto::SecretBytes& pem) {
  return Bio(BIO_new_mem_buf(pem.Expose().data(), static_cast<int>(pem.size())));
}

// There is no terminal to ask for a passphrase at.
int NoPassphrase(char*, int, int, void*) { return -1; }

// RSASSA-PSS with SHA-256 and a salt as long as the hash: PS256 of RFC 7518.
StatusOr<std::string> SignPs256(EVP_PKEY* key, std::string_view text) {
  const Digest context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  size_t size = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  if (EVP_DigestSignInit(context.get(), &parameters, EVP_sha256(), nullptr, key) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, data, text.size()) != 1) {
    return Bad("cannot sign");
  }
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data,
                     text.size()) != 1) {
    return Bad("cannot sign");
  }
  signature.resize(size);
  return signature;
}

std::string Part(const nlohmann::json& object) {
  return std::string(EncodeBase64Url(crypto::AsBytes(object.dump())).ExposeText());
}

}  // namespace

struct ClientCertificate::Parts {
  Key key;
  std::string thumbprint;
};

ClientCertificate::ClientCertificate(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ClientCertificate::ClientCertificate(ClientCertificate&&) noexcept = default;
ClientCertificate::~ClientCertificate() = default;

const std::string& ClientCertificate::thumbprint() const { return parts_->thumbprint; }

StatusOr<ClientCertificate> ClientCertificate::FromPem(const crypto::SecretBytes& pem) {
  const X509Ptr certificate(PEM_read_bio_X509(Reader(pem).get(), nullptr, &NoPassphrase, nullptr));
  if (certificate == nullptr) return Bad("cannot be read");
  auto parts = std::make_unique<Parts>();
  parts->key.reset(PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, &NoPassphrase, nullptr));
  if (parts->key == nullptr) return Bad("has no private key that can be read without a passphrase");
  if (EVP_PKEY_get_base_id(parts->key.get()) != EVP_PKEY_RSA) return Bad("has a key that is not RSA");
  if (X509_check_private_key(certificate.get(), parts->key.get()) != 1) {
    return Bad("has a private key of another certificate");
  }
  crypto::Sha256Digest digest;
  X509_digest(certificate.get(), EVP_sha256(), digest.data(), nullptr);
  parts->thumbprint = std::string(EncodeBase64Url(digest).ExposeText());
  return ClientCertificate(std::move(parts));
}

StatusOr<crypto::SecretBytes> ClientCertificate::Assert(const std::string& client_id,
                                                        const std::string& audience, absl::Time now,
                                                        crypto::Random& random) const {
  const int64_t from = absl::ToUnixSeconds(now);
  const std::string header = Part({{"alg", "PS256"}, {"typ", "JWT"}, {"x5t#S256", parts_->thumbprint}});
  const std::string claims = Part({{"aud", audience},
                                   {"exp", from + absl::ToInt64Seconds(kLifetime)},
                                   {"iat", from},
                                   {"iss", client_id},
                                   {"jti", crypto::NewUuid(random)},
                                   {"nbf", from},
                                   {"sub", client_id}});
  const std::string text = StrCat({header, ".", claims});
  KEYHOLD_ASSIGN_OR_RETURN(const std::string signature, SignPs256(parts_->key.get(), text));
  const crypto::SecretBytes encoded = EncodeBase64Url(crypto::AsBytes(signature));
  crypto::SecretBytes assertion(text.size() + 1 + encoded.size());
  uint8_t* out = std::copy(text.begin(), text.end(), assertion.ExposeMutable().data());
  *out++ = '.';
  std::copy(encoded.Expose().begin(), encoded.Expose().end(), out);
  return assertion;
}

crypto::SecretBytes EncodeBase64Url(crypto::Bytes bytes) {
  crypto::SecretBytes text = EncodeBase64(bytes);
  size_t size = text.size();
  for (uint8_t& c : text.ExposeMutable()) c = c == '+' ? '-' : c == '/' ? '_' : c;
  while (size > 0 && text.Expose()[size - 1] == '=') --size;
  return crypto::SecretBytes::CopyOf(text.Expose().first(size));
}

StatusOr<crypto::SecretBytes> DecodeBase64Url(std::string_view text) {
  crypto::SecretBytes padded((text.size() + 3) / 4 * 4);
  for (size_t i = 0; i < padded.size(); ++i) {
    const char c = i < text.size() ? text[i] : '=';
    if (i < text.size() && (c == '+' || c == '/' || c == '=')) {
      return Error(Cause::kKmsCorrupt, "the vault's answer has a field that is not base64url");
    }
    padded.ExposeMutable()[i] = static_cast<uint8_t>(c == '-' ? '+' : c == '_' ? '/' : c);
  }
  return DecodeBase64(padded.ExposeText());
}

}  // namespace keyhold::kms::azure
