#include "crypto/rsa.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <cstdlib>

#include "crypto/hash.h"
#include "crypto/openssl_ptr.h"

namespace keyhold::crypto {
namespace {

using Bio = BioPtr;
using Context = DigestContextPtr;

// OpenSSL fails here only without memory.
template <typename T>
T* Required(T* pointer) {
  if (pointer == nullptr) std::abort();
  return pointer;
}

Bio Reader(Bytes bytes) {
  return Bio(Required(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))));
}

std::string_view Content(const Bio& bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

std::string PublicPemOf(const EVP_PKEY* key) {
  const Bio bio(Required(BIO_new(BIO_s_mem())));
  if (PEM_write_bio_PUBKEY(bio.get(), key) != 1) std::abort();
  return std::string(Content(bio));
}

bool IsUsable(const EVP_PKEY* key) {
  return key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
         EVP_PKEY_get_bits(key) >= kMinRsaBits && EVP_PKEY_get_bits(key) <= kMaxRsaBits;
}

// Ready for OAEP after `init`, EVP_PKEY_encrypt_init or EVP_PKEY_decrypt_init.
KeyContextPtr OaepContext(EVP_PKEY* key, int (*init)(EVP_PKEY_CTX*), Bytes label) {
  KeyContextPtr context(Required(EVP_PKEY_CTX_new(key, nullptr)));
  if (init(context.get()) != 1 || EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) != 1) {
    std::abort();
  }
  if (label.empty()) return context;
  auto* copy = static_cast<uint8_t*>(Required(OPENSSL_malloc(label.size())));  // the context's, below
  std::copy(label.begin(), label.end(), copy);
  if (EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), copy, static_cast<int>(label.size())) != 1) {
    std::abort();
  }
  return context;
}

// Without it OpenSSL would ask the terminal for the passphrase of an encrypted key.
int NoPassphrase(char*, int, int, void*) { return -1; }

}  // namespace

void RsaPublicKey::FreeKey::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

StatusOr<RsaPublicKey> RsaPublicKey::FromPem(std::string_view pem) {
  RsaPublicKey key(PEM_read_bio_PUBKEY(Reader(AsBytes(pem)).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!IsUsable(key.key_.get())) {
    return Error(Cause::kInvalidArgument, "not an RSA public key in PEM, of 2048 to 8192 bits");
  }
  return key;
}

std::string RsaPublicKey::Pem() const { return PublicPemOf(key_.get()); }

std::string RsaPublicKey::Fingerprint() const {
  const Bio bio(Required(BIO_new(BIO_s_mem())));
  if (i2d_PUBKEY_bio(bio.get(), key_.get()) != 1) std::abort();
  return Hex(Sha256(AsBytes(Content(bio))));
}

StatusOr<std::string> RsaPublicKey::Encrypt(Bytes plaintext, Bytes label) const {
  const KeyContextPtr context = OaepContext(key_.get(), EVP_PKEY_encrypt_init, label);
  std::string ciphertext(static_cast<size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  size_t size = ciphertext.size();
  const bool done = EVP_PKEY_encrypt(context.get(), reinterpret_cast<uint8_t*>(ciphertext.data()), &size,
                                     plaintext.data(), plaintext.size()) == 1;
  ERR_clear_error();
  if (!done) return Error(Cause::kInvalidArgument, "this is more than the RSA key can encrypt");
  ciphertext.resize(size);
  return ciphertext;
}

void RsaPrivateKey::FreeKey::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

StatusOr<RsaPrivateKey> RsaPrivateKey::FromPem(Bytes pem) {
  constexpr size_t kMaxPem = 64 << 10;
  RsaPrivateKey key(pem.size() > kMaxPem
                        ? nullptr
                        : PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, &NoPassphrase, nullptr));
  ERR_clear_error();
  if (!IsUsable(key.key_.get())) {
    return Error(Cause::kInvalidArgument, "not an RSA private key in PEM, unencrypted, of 2048 to 8192 bits");
  }
  return key;
}

StatusOr<RsaPrivateKey> RsaPrivateKey::Generate(int bits) {
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return Error(Cause::kInvalidArgument, "RSA keys have 2048 to 8192 bits here");
  }
  return RsaPrivateKey(Required(EVP_RSA_gen(static_cast<unsigned>(bits))));
}

SecretBytes RsaPrivateKey::ToPem() const {
  const Bio bio(Required(BIO_new(BIO_s_secmem())));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    std::abort();
  }
  return SecretBytes::CopyOf(AsBytes(Content(bio)));
}

std::string RsaPrivateKey::PublicPem() const { return PublicPemOf(key_.get()); }

std::string RsaPrivateKey::Sign(Bytes data) const {
  const Context context(Required(EVP_MD_CTX_new()));
  std::string signature(static_cast<size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, data.data(),
                     data.size()) != 1) {
    std::abort();
  }
  signature.resize(size);
  return signature;
}

StatusOr<SecretBytes> RsaPrivateKey::Decrypt(Bytes ciphertext, Bytes label) const {
  const KeyContextPtr context = OaepContext(key_.get(), EVP_PKEY_decrypt_init, label);
  SecretBytes opened(static_cast<size_t>(EVP_PKEY_get_size(key_.get())));
  size_t size = opened.size();
  const bool done = EVP_PKEY_decrypt(context.get(), opened.ExposeMutable().data(), &size, ciphertext.data(),
                                     ciphertext.size()) == 1;
  ERR_clear_error();
  if (!done) {
    return Error(Cause::kCorrupt, "the RSA key does not open this: another key made it, or it is damaged");
  }
  return SecretBytes::CopyOf(opened.Expose().first(size));
}

Status VerifyRs256(std::string_view public_pem, Bytes data, Bytes signature) {
  const KeyPtr key(PEM_read_bio_PUBKEY(Reader(AsBytes(public_pem)).get(), nullptr, nullptr, nullptr));
  const Context context(Required(EVP_MD_CTX_new()));
  const bool usable = IsUsable(key.get());
  const bool good =
      usable && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(), data.size()) == 1;
  ERR_clear_error();
  if (!usable) return Error(Cause::kInvalidArgument, "not an RSA public key of 2048 to 8192 bits");
  return good ? OkStatus() : Error(Cause::kUnauthenticated, "the signature does not verify");
}

}  // namespace keyhold::crypto
