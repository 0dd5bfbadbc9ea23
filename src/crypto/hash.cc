#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/escaping.h"

namespace keyhold::crypto {
namespace {

struct FreeKdf {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

void Require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

Sha256Digest Sha256(Bytes data) {
  Sha256Digest digest;
  Require(EVP_Digest(data.data(), data.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1);
  return digest;
}

Sha256Digest HmacSha256(Bytes key, Bytes data) {
  Sha256Digest digest;
  unsigned size = digest.size();
  Require(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(),
               digest.data(), &size) != nullptr);
  return digest;
}

SecretBytes Hkdf(Bytes key, Bytes info, size_t size) {
  static EVP_KDF* kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  const std::unique_ptr<EVP_KDF_CTX, FreeKdf> context(EVP_KDF_CTX_new(kdf));
  Require(context != nullptr);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<uint8_t*>(key.data()), key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<uint8_t*>(info.data()), info.size()),
      OSSL_PARAM_construct_end(),
  };
  SecretBytes out(size);
  Require(EVP_KDF_derive(context.get(), out.ExposeMutable().data(), size, parameters) == 1);
  return out;
}

SecretBytes Pbkdf2(Bytes password, Bytes salt, int iterations) {
  SecretBytes out(32);
  Require(PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(password.data()), static_cast<int>(password.size()),
                            salt.data(), static_cast<int>(salt.size()), iterations, EVP_sha256(),
                            static_cast<int>(out.size()), out.ExposeMutable().data()) == 1);
  return out;
}

bool ConstantTimeEqual(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string Hex(Bytes bytes) {
  const std::string_view text = AsText(bytes);
  return absl::BytesToHexString(absl::string_view(text.data(), text.size()));
}

}  // namespace keyhold::crypto
