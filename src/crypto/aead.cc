#include "crypto/aead.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

namespace keyhold::crypto {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

// For calls that fail only when OpenSSL itself is broken or out of memory.
void Require(int result) {
  if (result != 1) std::abort();
}

const EVP_CIPHER* Gcm() {
  static const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return cipher;
}

const EVP_CIPHER* Siv() {
  static const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-SIV", nullptr);
  return cipher;
}

Context NewContext() {
  Context context(EVP_CIPHER_CTX_new());
  if (context == nullptr) std::abort();
  return context;
}

}  // namespace

// OpenSSL's contexts are for one thread at a time: each call borrows one in which the key is already
// expanded.
class Aes256Gcm::Contexts {
 public:
  explicit Contexts(Bytes key) : key_(SecretBytes::CopyOf(key)) {}

  class Borrowed {
   public:
    explicit Borrowed(Contexts& owner) : owner_(owner), context_(owner.Take()) {}
    ~Borrowed() { owner_.Give(std::move(context_)); }
    EVP_CIPHER_CTX* get() const { return context_.get(); }

   private:
    Contexts& owner_;
    Context context_;
  };

 private:
  Context Take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        Context context = std::move(idle_.back());
        idle_.pop_back();
        return context;
      }
    }
    Context context = NewContext();
    Require(EVP_CipherInit_ex(context.get(), Gcm(), nullptr, key_.Expose().data(), nullptr, 1));
    return context;
  }

  void Give(Context context) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(context));
  }

  const SecretBytes key_;
  std::mutex mutex_;
  std::vector<Context> idle_;  // guarded by mutex_; at most as many as threads were ever here at once
};

Aes256Gcm::Aes256Gcm(Bytes key) {
  if (key.size() != 32) std::abort();
  contexts_ = std::make_unique<Contexts>(key);
}

Aes256Gcm::~Aes256Gcm() = default;

void Aes256Gcm::Seal(const GcmNonce& nonce, Bytes associated_data, Bytes plaintext, uint8_t* ciphertext,
                     uint8_t* tag) const {
  const Contexts::Borrowed context(*contexts_);
  int length = 0;
  Require(EVP_CipherInit_ex(context.get(), nullptr, nullptr, nullptr, nonce.data(), 1));
  Require(EVP_EncryptUpdate(context.get(), nullptr, &length, associated_data.data(),
                            static_cast<int>(associated_data.size())));
  Require(EVP_EncryptUpdate(context.get(), ciphertext, &length, plaintext.data(),
                            static_cast<int>(plaintext.size())));
  Require(EVP_EncryptFinal_ex(context.get(), ciphertext + length, &length));
  Require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kGcmTagSize, tag));
}

bool Aes256Gcm::Open(const GcmNonce& nonce, Bytes associated_data, Bytes ciphertext, const uint8_t* tag,
                     uint8_t* plaintext) const {
  const Contexts::Borrowed context(*contexts_);
  int length = 0;
  Require(EVP_CipherInit_ex(context.get(), nullptr, nullptr, nullptr, nonce.data(), 0));
  Require(EVP_DecryptUpdate(context.get(), nullptr, &length, associated_data.data(),
                            static_cast<int>(associated_data.size())));
  Require(EVP_DecryptUpdate(context.get(), plaintext, &length, ciphertext.data(),
                            static_cast<int>(ciphertext.size())));
  Require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kGcmTagSize, const_cast<uint8_t*>(tag)));
  int rest = 0;
  if (EVP_DecryptFinal_ex(context.get(), plaintext + length, &rest) == 1) return true;
  if (!ciphertext.empty()) std::memset(plaintext, 0, ciphertext.size());
  return false;
}

std::string SealBox(Bytes key, Random& random, Bytes associated_data, Bytes plaintext) {
  GcmNonce nonce;
  random.Fill(nonce);
  std::string box(kBoxOverhead + plaintext.size(), '\0');
  auto* out = reinterpret_cast<uint8_t*>(box.data());
  std::memcpy(out, nonce.data(), nonce.size());
  Aes256Gcm(key).Seal(nonce, associated_data, plaintext, out + kGcmNonceSize,
                      out + kGcmNonceSize + plaintext.size());
  return box;
}

StatusOr<SecretBytes> OpenBox(Bytes key, Bytes associated_data, Bytes box) {
  if (box.size() < kBoxOverhead) return Error(Cause::kCorrupt, "a sealed box is shorter than its overhead");
  GcmNonce nonce;
  std::memcpy(nonce.data(), box.data(), nonce.size());
  const Bytes ciphertext = box.subspan(kGcmNonceSize, box.size() - kBoxOverhead);
  SecretBytes plaintext(ciphertext.size());
  if (!Aes256Gcm(key).Open(nonce, associated_data, ciphertext, box.data() + box.size() - kGcmTagSize,
                           plaintext.ExposeMutable().data())) {
    return Error(Cause::kCorrupt, "a sealed box does not authenticate");
  }
  return plaintext;
}

// A context with the expanded key, which is copied and never worked with.
struct Aes256Siv::Keyed {
  Context context = NewContext();

  // Calls take their own: OpenSSL's contexts are for one thread at a time, and one of SIV's is for one
  // message.
  Context ForOneMessage() const {
    Context copy = NewContext();
    Require(EVP_CIPHER_CTX_copy(copy.get(), context.get()));
    return copy;
  }
};

Aes256Siv::Aes256Siv(Bytes key) : keyed_(std::make_unique<Keyed>()) {
  if (key.size() != kSivKeySize) std::abort();
  Require(EVP_EncryptInit_ex(keyed_->context.get(), Siv(), nullptr, key.data(), nullptr));
}

Aes256Siv::~Aes256Siv() = default;
Aes256Siv::Aes256Siv(Aes256Siv&&) noexcept = default;
Aes256Siv& Aes256Siv::operator=(Aes256Siv&&) noexcept = default;

std::string Aes256Siv::Seal(Bytes associated_data, Bytes plaintext) const {
  if (associated_data.empty() || plaintext.empty()) std::abort();
  const Context context = keyed_->ForOneMessage();
  std::string sealed(kSivOverhead + plaintext.size(), '\0');
  auto* out = reinterpret_cast<uint8_t*>(sealed.data());
  int length = 0;
  Require(EVP_EncryptUpdate(context.get(), nullptr, &length, associated_data.data(),
                            static_cast<int>(associated_data.size())));
  Require(EVP_EncryptUpdate(context.get(), out + kSivOverhead, &length, plaintext.data(),
                            static_cast<int>(plaintext.size())));
  Require(EVP_EncryptFinal_ex(context.get(), out + kSivOverhead + length, &length));
  Require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kSivOverhead, out));
  return sealed;
}

StatusOr<std::string> Aes256Siv::Open(Bytes associated_data, Bytes sealed) const {
  if (associated_data.empty()) std::abort();
  if (sealed.size() <= kSivOverhead)
    return Error(Cause::kCorrupt, "a sealed name is shorter than any can be");
  const Context context = keyed_->ForOneMessage();
  const Bytes ciphertext = sealed.subspan(kSivOverhead);
  std::string plaintext(ciphertext.size(), '\0');
  int length = 0;
  Require(EVP_DecryptInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr));
  Require(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kSivOverhead,
                              const_cast<uint8_t*>(sealed.data())));
  Require(EVP_DecryptUpdate(context.get(), nullptr, &length, associated_data.data(),
                            static_cast<int>(associated_data.size())));
  if (EVP_DecryptUpdate(context.get(), reinterpret_cast<uint8_t*>(plaintext.data()), &length,
                        ciphertext.data(), static_cast<int>(ciphertext.size())) != 1) {
    return Error(Cause::kCorrupt, "a sealed name does not authenticate");
  }
  return plaintext;
}

}  // namespace keyhold::crypto
