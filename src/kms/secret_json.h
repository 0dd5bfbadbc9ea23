// JSON and base64 whose texts stay in secret memory: the bodies of KMS calls carry keys in clear.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "crypto/secret.h"

namespace keyhold::kms {

// Memory of the secure heap.
void* AllocateSecret(size_t size);
void FreeSecret(void* memory, size_t size);

// Allocates in the secure heap; what it gives back is wiped. Aborts when that heap is full, as SecretBytes.
template <typename T>
struct SecretAllocator {
  using value_type = T;
  SecretAllocator() = default;
  template <typename U>
  SecretAllocator(const SecretAllocator<U>&) {}  // NOLINT(google-explicit-constructor): allocators convert
  T* allocate(size_t count) { return static_cast<T*>(AllocateSecret(count * sizeof(T))); }
  void deallocate(T* memory, size_t count) { FreeSecret(memory, count * sizeof(T)); }
  bool operator==(const SecretAllocator&) const = default;
};
using SecretString = std::basic_string<char, std::char_traits<char>, SecretAllocator<char>>;
using SecretJson = nlohmann::basic_json<std::map, std::vector, SecretString>;

// A JSON object; kKmsCorrupt, naming `whose` answer it was, for anything else.
StatusOr<SecretJson> ParseSecretJson(crypto::Bytes text, std::string_view whose);

// The string `name` of `object`; kKmsCorrupt when it is not there or no string.
StatusOr<std::string_view> StringOf(const SecretJson& object, const char* name);

// The same as text that is no secret; `otherwise` when it is not there or no string.
std::string FieldText(const SecretJson& object, const char* name, std::string_view otherwise = "");

// Base64 (RFC 4648 section 4). Decoding is strict; kKmsCorrupt.
crypto::SecretBytes EncodeBase64(crypto::Bytes bytes);
StatusOr<crypto::SecretBytes> DecodeBase64(std::string_view text);

// The JSON text of `object` with one more member, a string that needs no escapes.
crypto::SecretBytes WithMember(const nlohmann::json& object, std::string_view name, crypto::Bytes value);

}  // namespace keyhold::kms
