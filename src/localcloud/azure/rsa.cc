#include "localcloud/azure/rsa.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "crypto/hash.h"
#include "crypto/openssl_ptr.h"

namespace keyhold::localcloud::azure {
namespace {

using Context = crypto::KeyContextPtr;
using Digest = crypto::DigestContextPtr;
using Bio = crypto::BioPtr;
using Certificate = crypto::X509Ptr;
using Key = crypto::KeyPtr;

constexpr int kCertificateBits = 2048;
constexpr long kCertificateSeconds = 3650L * 24 * 3600;  // NOLINT(google-runtime-int): OpenSSL's type

Status OpenSslFailed() { return Error(Cause::kInternal, "OpenSSL failed at an RSA key"); }

const unsigned char* Data(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Number(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return "";
  std::string bytes(static_cast<size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_free(number);
  return bytes;
}

bool SetPadding(EVP_PKEY_CTX* context, std::string_view algorithm) {
  if (algorithm == "RSA1_5") return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  const EVP_MD* hash = algorithm == "RSA-OAEP"       ? EVP_sha1()
                       : algorithm == "RSA-OAEP-256" ? EVP_sha256()
                                                     : nullptr;
  return hash != nullptr && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, hash) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash) == 1;
}

Status BadAlgorithm() { return Error(Cause::kInvalidArgument, "Property 'alg' has invalid value"); }

bool Verify(EVP_PKEY* key, bool pss, std::string_view text, crypto::Bytes signature) {
  const Digest digest(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  if (EVP_DigestVerifyInit(digest.get(), &parameters, EVP_sha256(), nullptr, key) != 1) return false;
  if (pss && (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
              EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return false;
  }
  return EVP_DigestVerify(digest.get(), signature.data(), signature.size(), Data(text), text.size()) == 1;
}

Status NotBy() { return Error(Cause::kUnauthenticated, "the signature does not verify"); }

Certificate ReadCertificate(const std::string& pem) {
  const Bio in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
}

std::string Written(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);  // NOLINT(google-runtime-int): OpenSSL's type
  return std::string(data, static_cast<size_t>(size));
}

bool SelfSign(X509* certificate, EVP_PKEY* key, const std::string& common_name) {
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kCertificateSeconds);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, Data(common_name), -1, -1, 0);
  return X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

}  // namespace

void RsaKey::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

StatusOr<RsaKey> RsaKey::Generate(int bits) {
  EVP_PKEY* key = EVP_RSA_gen(static_cast<unsigned int>(bits));
  if (key == nullptr) return OpenSslFailed();
  return RsaKey(key);
}

StatusOr<RsaKey> RsaKey::FromDer(crypto::Bytes der) {
  const unsigned char* at = der.data();
  EVP_PKEY* key =
      d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size()));  // NOLINT(google-runtime-int)
  if (key == nullptr) return Error(Cause::kCorrupt, "a stored RSA key cannot be read");
  return RsaKey(key);
}

crypto::SecretBytes RsaKey::ToDer() const {
  PKCS8_PRIV_KEY_INFO* info = EVP_PKEY2PKCS8(key_.get());
  crypto::SecretBytes der(static_cast<size_t>(i2d_PKCS8_PRIV_KEY_INFO(info, nullptr)));
  unsigned char* out = der.ExposeMutable().data();
  i2d_PKCS8_PRIV_KEY_INFO(info, &out);
  PKCS8_PRIV_KEY_INFO_free(info);
  return der;
}

std::string RsaKey::Modulus() const { return Number(key_.get(), OSSL_PKEY_PARAM_RSA_N); }
std::string RsaKey::Exponent() const { return Number(key_.get(), OSSL_PKEY_PARAM_RSA_E); }

StatusOr<std::string> RsaKey::Encrypt(std::string_view algorithm, crypto::Bytes text) const {
  const Context context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  if (EVP_PKEY_encrypt_init(context.get()) != 1 || !SetPadding(context.get(), algorithm))
    return BadAlgorithm();
  std::string out(static_cast<size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  size_t size = out.size();
  if (EVP_PKEY_encrypt(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, text.data(),
                       text.size()) != 1) {
    return Error(Cause::kInvalidArgument, "The value is too long for the key and algorithm.");
  }
  out.resize(size);
  return out;
}

StatusOr<crypto::SecretBytes> RsaKey::Decrypt(std::string_view algorithm, crypto::Bytes text) const {
  const Context context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  if (EVP_PKEY_decrypt_init(context.get()) != 1 || !SetPadding(context.get(), algorithm))
    return BadAlgorithm();
  crypto::SecretBytes out(static_cast<size_t>(EVP_PKEY_get_size(key_.get())));
  size_t size = out.size();
  if (EVP_PKEY_decrypt(context.get(), out.ExposeMutable().data(), &size, text.data(), text.size()) != 1) {
    return Error(Cause::kInvalidArgument, "Error occurred while decoding OAEP padding.");
  }
  return crypto::SecretBytes::CopyOf(out.Expose().first(size));
}

std::string RsaKey::Sign(std::string_view text) const {
  const Digest digest(EVP_MD_CTX_new());
  std::string signature(static_cast<size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  size_t size = signature.size();
  EVP_DigestSignInit(digest.get(), nullptr, EVP_sha256(), nullptr, key_.get());
  if (EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, Data(text),
                     text.size()) != 1) {
    return "";
  }
  signature.resize(size);
  return signature;
}

StatusOr<MadeCertificate> MakeCertificate(const std::string& common_name) {
  const Key key(EVP_RSA_gen(kCertificateBits));
  const Certificate certificate(X509_new());
  if (key == nullptr || !SelfSign(certificate.get(), key.get(), common_name)) return OpenSslFailed();
  const Bio public_part(BIO_new(BIO_s_mem()));
  const Bio all(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_X509(public_part.get(), certificate.get()) != 1 ||
      PEM_write_bio_X509(all.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(all.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslFailed();
  }
  char* data = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(all.get(), &data));
  return MadeCertificate{crypto::SecretBytes::CopyOf(crypto::AsBytes({data, size})), Written(public_part)};
}

std::string ThumbprintOf(const std::string& certificate_pem) {
  const Certificate certificate = ReadCertificate(certificate_pem);
  crypto::Sha256Digest digest{};
  if (certificate != nullptr) X509_digest(certificate.get(), EVP_sha256(), digest.data(), nullptr);
  return Base64Url(digest);
}

Status VerifySignature(const std::string& certificate_pem, std::string_view algorithm, std::string_view text,
                       crypto::Bytes signature) {
  if (algorithm != "PS256" && algorithm != "RS256") return NotBy();
  const Certificate certificate = ReadCertificate(certificate_pem);
  if (certificate == nullptr) return NotBy();
  return Verify(X509_get0_pubkey(certificate.get()), algorithm == "PS256", text, signature) ? OkStatus()
                                                                                            : NotBy();
}

Status VerifySignature(const RsaKey& key, std::string_view text, crypto::Bytes signature) {
  // Signing is deterministic: the same text has the same signature.
  const std::string expected = key.Sign(text);
  return crypto::ConstantTimeEqual(crypto::AsBytes(expected), signature) ? OkStatus() : NotBy();
}

std::string Base64Url(crypto::Bytes bytes) {
  std::string text = absl::WebSafeBase64Escape(absl::string_view(crypto::AsText(bytes).data(), bytes.size()));
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

StatusOr<std::string> FromBase64Url(std::string_view text) {
  std::string decoded;
  if (absl::WebSafeBase64Unescape(absl::string_view(text.data(), text.size()), &decoded) &&
      Base64Url(crypto::AsBytes(decoded)) == text) {
    return decoded;
  }
  return Error(Cause::kInvalidArgument, "not base64url");
}

}  // namespace keyhold::localcloud::azure
