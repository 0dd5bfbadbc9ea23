#include "kms/secret_json.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <cstring>

#include "kms/text.h"

namespace keyhold::kms {
namespace {

crypto::SecretBytes Joined(std::initializer_list<std::string_view> pieces) {
  size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size();
  crypto::SecretBytes all(size);
  uint8_t* out = all.ExposeMutable().data();
  for (const std::string_view piece : pieces) {
    std::memcpy(out, piece.data(), piece.size());
    out += piece.size();
  }
  return all;
}

}  // namespace

void* AllocateSecret(size_t size) {
  void* memory = OPENSSL_secure_malloc(size);
  if (memory == nullptr || CRYPTO_secure_allocated(memory) == 0) std::abort();
  return memory;
}

void FreeSecret(void* memory, size_t size) { OPENSSL_secure_clear_free(memory, size); }

StatusOr<SecretJson> ParseSecretJson(crypto::Bytes text, std::string_view whose) {
  SecretJson parsed = SecretJson::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object()) return parsed;
  return Error(Cause::kKmsCorrupt, StrCat({whose, " answered something that is no JSON object"}));
}

StatusOr<std::string_view> StringOf(const SecretJson& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) {
    return Error(Cause::kKmsCorrupt, StrCat({"the KMS's answer has no text ", name}));
  }
  const auto& text = found->get_ref<const SecretString&>();
  return std::string_view(text.data(), text.size());
}

std::string FieldText(const SecretJson& object, const char* name, std::string_view otherwise) {
  const auto text = StringOf(object, name);
  return std::string(text.ok() ? *text : otherwise);
}

crypto::SecretBytes EncodeBase64(crypto::Bytes bytes) {
  const size_t size = (bytes.size() + 2) / 3 * 4;
  crypto::SecretBytes with_nul(size + 1);  // EVP_EncodeBlock ends its output with one
  EVP_EncodeBlock(with_nul.ExposeMutable().data(), bytes.data(), static_cast<int>(bytes.size()));
  return crypto::SecretBytes::CopyOf(with_nul.Expose().first(size));
}

StatusOr<crypto::SecretBytes> DecodeBase64(std::string_view text) {
  const Status bad = Error(Cause::kKmsCorrupt, "the KMS's answer has a field that is not base64");
  if (text.size() % 4 != 0) return bad;
  if (text.empty()) return crypto::SecretBytes();
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  crypto::SecretBytes padded(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(padded.ExposeMutable().data(), crypto::AsBytes(text).data(),
                                   static_cast<int>(text.size()));
  if (size != static_cast<int>(padded.size())) return bad;
  crypto::SecretBytes decoded = crypto::SecretBytes::CopyOf(padded.Expose().first(padded.size() - padding));
  // OpenSSL skips blanks and lets stray bits pass: only what encodes to the same text is base64.
  if (EncodeBase64(decoded.Expose()).ExposeText() != text) return bad;
  return decoded;
}

crypto::SecretBytes WithMember(const nlohmann::json& object, std::string_view name, crypto::Bytes value) {
  const std::string rest = object.dump();
  return Joined({"{\"", name, "\":\"", crypto::AsText(value), "\"", rest.size() > 2 ? "," : "",
                 std::string_view(rest).substr(1)});
}

}  // namespace keyhold::kms
