// Secrets have their own types. What they hold is kept in OpenSSL's secure heap (locked, between guard pages,
// left out of core dumps) and wiped when they go. They can be moved, not copied, printed, compared or
// implicitly read.
//
// InitSecretMemory() must have been called once before the first secret is made. Objects are as thread-safe
// as a std::vector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::crypto {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

inline Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Sets up the secure heap (16 MiB), turns off core dumps and ptrace by other users for this process.
// Idempotent; called by main() of every program and every test that makes secrets. kFailedPrecondition where
// memory cannot be locked: the message says which limit to raise.
Status InitSecretMemory();

// Wipes `bytes` in a way that the compiler does not remove.
void Wipe(MutableBytes bytes);

// A secret of any length. Reading it takes the word Expose, so that every place that does can be found.
class SecretBytes {
 public:
  SecretBytes() = default;
  // Zeroes, to be filled through ExposeMutable().
  explicit SecretBytes(size_t size);
  // Copies `bytes`; wiping the source is the caller's part.
  static SecretBytes CopyOf(Bytes bytes);

  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Valid until this object is changed or goes.
  Bytes Expose() const { return {data_, size_}; }
  MutableBytes ExposeMutable() { return {data_, size_}; }
  std::string_view ExposeText() const { return AsText(Expose()); }

  // A second secret with the same content.
  SecretBytes Clone() const { return CopyOf(Expose()); }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// A 256-bit key. `Tag` makes keys of different purpose different types:
//   using DataKey = crypto::Key<struct DataKeyTag>;
template <typename Tag>
class Key {
 public:
  static constexpr size_t kSize = 32;

  // kInvalidArgument unless `bytes` has 32 bytes.
  static StatusOr<Key> From(SecretBytes bytes) {
    if (bytes.size() != kSize) return Error(Cause::kInvalidArgument, "a key must have 32 bytes");
    return Key(std::move(bytes));
  }

  Bytes Expose() const { return bytes_.Expose(); }
  Key Clone() const { return Key(bytes_.Clone()); }

 private:
  explicit Key(SecretBytes bytes) : bytes_(std::move(bytes)) {}
  SecretBytes bytes_;
};

}  // namespace keyhold::crypto
