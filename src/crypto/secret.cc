#include "crypto/secret.h"

#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace keyhold::crypto {
namespace {

constexpr size_t kSecureHeapBytes = 16 << 20;
constexpr size_t kSmallestAllocation = 32;

Status SetUp() {
  const rlimit no_core{0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) return ErrnoError(errno, "turning off core dumps");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return ErrnoError(errno, "making the process undumpable");
  // 1: allocated and locked; 2: allocated, but mlock(2) was refused.
  if (CRYPTO_secure_malloc_init(kSecureHeapBytes, kSmallestAllocation) != 1) {
    return Error(Cause::kFailedPrecondition,
                 "cannot lock 16 MiB of memory for keys; raise the limit of locked memory (ulimit -l, or "
                 "LimitMEMLOCK= of the service) to at least 32768 KiB");
  }
  return OkStatus();
}

}  // namespace

Status InitSecretMemory() {
  static const Status result = SetUp();
  return result;
}

void Wipe(MutableBytes bytes) {
  if (!bytes.empty()) explicit_bzero(bytes.data(), bytes.size());  // an empty one may be null
}

SecretBytes::SecretBytes(size_t size) : size_(size) {
  if (size == 0) return;
  // Fallback to the ordinary heap would be silent; a full or missing secure heap is a bug, and stops the
  // process.
  if (CRYPTO_secure_malloc_initialized() == 0) std::abort();
  data_ = static_cast<uint8_t*>(OPENSSL_secure_zalloc(size));
  if (data_ == nullptr || CRYPTO_secure_allocated(data_) == 0) std::abort();
}

SecretBytes SecretBytes::CopyOf(Bytes bytes) {
  SecretBytes copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data_, bytes.data(), bytes.size());
  return copy;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SecretBytes::~SecretBytes() {
  if (data_ != nullptr) OPENSSL_secure_clear_free(data_, size_);
}

}  // namespace keyhold::crypto
