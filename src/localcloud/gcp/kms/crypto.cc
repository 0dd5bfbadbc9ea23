#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "localcloud/gcp/error.h"
#include "localcloud/gcp/kms/ciphertext.h"
#include "localcloud/gcp/kms/operations.h"

namespace keyhold::localcloud::gcp {
namespace {

// A field with bytes, and whether its checksum came with it and was right.
struct Field {
  std::string bytes;
  bool verified = false;
};

// An int64 of proto3's JSON: a string or a number; none where the field is not there.
StatusOr<std::optional<uint32_t>> CrcIn(const Json& body, const std::string& field) {
  const auto found = body.find(field);
  if (found == body.end() || found->is_null()) return std::optional<uint32_t>();
  uint32_t value = 0;
  const std::string text = found->is_string() ? found->get<std::string>() : found->dump();
  if (absl::SimpleAtoi(text, &value)) return std::optional(value);
  return Invalid(absl::StrCat("Invalid value at '", field, "' (TYPE_INT64)."));
}

// `proto` is the name that Google's message has.
StatusOr<Field> BytesIn(const Json& body, const std::string& json, const std::string& proto) {
  Field field;
  KEYHOLD_ASSIGN_OR_RETURN(const std::string text, StringIn(body, json.c_str()));
  if (!DecodeBytes(text, &field.bytes)) {
    return Invalid(absl::StrCat("Invalid value at '", proto, "' (TYPE_BYTES), Base64 decoding failed."));
  }
  KEYHOLD_ASSIGN_OR_RETURN(const auto crc, CrcIn(body, json + "Crc32c"));
  field.verified = crc.has_value();
  if (crc && *crc != Crc32c(crypto::AsBytes(field.bytes))) {
    return Invalid(absl::StrCat("The checksum in field ", proto, "_crc32c did not match the data in field ",
                                proto, "."));
  }
  return field;
}

std::string Decimal(std::string_view bytes) { return absl::StrCat(Crc32c(crypto::AsBytes(bytes))); }

Status CheckPurpose(const CryptoKey& key, std::string_view action) {
  if (key.purpose == "ENCRYPT_DECRYPT") return OkStatus();
  return GcpError("FAILED_PRECONDITION", absl::StrCat(key.name, " has the purpose ", key.purpose,
                                                      ", and cannot be used to ", std::string(action), "."));
}

Status CheckEnabled(const CryptoKeyVersion& version) {
  if (version.state == "ENABLED") return OkStatus();
  return GcpError(
      "FAILED_PRECONDITION",
      absl::StrCat(version.Name(), " is not enabled, current state is: ", version.state, "."),
      {{"@type", "type.googleapis.com/google.rpc.PreconditionFailure"},
       {"violations", {{{"type", absl::StrCat("KEY_", version.state)}, {"subject", version.Name()}}}}});
}

Status CheckSize(const CryptoKeyVersion& version, size_t plaintext, size_t aad) {
  const bool hsm = version.protection == "HSM";
  if (plaintext == 0) return Invalid("The plaintext must not be empty.");
  const bool fits =
      hsm ? plaintext + aad <= kMaxHsmInput : plaintext <= kMaxPlaintext && aad <= kMaxPlaintext;
  return fits ? OkStatus()
              : Invalid(
                    hsm ? "The plaintext and additional_authenticated_data must together be at most 8 KiB."
                        : "The plaintext and the additional_authenticated_data must each be at most 64 KiB.");
}

// The version that encrypts: the one that the request names, or the primary one.
StatusOr<CryptoKeyVersion> Encrypting(Call& call, const Resource& resource, const CryptoKey& key) {
  int number = key.primary;
  if (resource.level == Level::kVersion && !absl::SimpleAtoi(resource.version, &number)) number = 0;
  if (number != 0) return VersionOf(call.store, key, number);
  return GcpError("FAILED_PRECONDITION", absl::StrCat("CryptoKey ", key.name, " has no primary version."));
}

}  // namespace

StatusOr<Json> Encrypt(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKey key, KeyOf(call.store, resource));
  KEYHOLD_RETURN_IF_ERROR(CheckPurpose(key, "encrypt"));
  KEYHOLD_ASSIGN_OR_RETURN(Field plaintext, BytesIn(call.body, "plaintext", "plaintext"));
  KEYHOLD_ASSIGN_OR_RETURN(
      const Field aad, BytesIn(call.body, "additionalAuthenticatedData", "additional_authenticated_data"));
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKeyVersion version, Encrypting(call, resource, key));
  call.record.key = version.Name();
  KEYHOLD_RETURN_IF_ERROR(CheckEnabled(version));
  KEYHOLD_RETURN_IF_ERROR(CheckSize(version, plaintext.bytes.size(), aad.bytes.size()));
  const std::string blob =
      SealCiphertext(key.name, static_cast<uint32_t>(version.number), version.material.Expose(),
                     crypto::AsBytes(aad.bytes), call.vault.random(), crypto::AsBytes(plaintext.bytes));
  Json out = {{"name", version.Name()},
              {"ciphertext", absl::Base64Escape(blob)},
              {"ciphertextCrc32c", Decimal(blob)},
              {"protectionLevel", version.protection}};
  if (plaintext.verified) out["verifiedPlaintextCrc32c"] = true;
  if (aad.verified) out["verifiedAdditionalAuthenticatedDataCrc32c"] = true;
  return out;
}

StatusOr<Json> Decrypt(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(const CryptoKey key, KeyOf(call.store, resource));
  KEYHOLD_RETURN_IF_ERROR(CheckPurpose(key, "decrypt"));
  KEYHOLD_ASSIGN_OR_RETURN(const Field blob, BytesIn(call.body, "ciphertext", "ciphertext"));
  KEYHOLD_ASSIGN_OR_RETURN(
      const Field aad, BytesIn(call.body, "additionalAuthenticatedData", "additional_authenticated_data"));
  const Status wrong = Invalid("Decryption failed: verify that 'name' refers to the correct CryptoKey.");
  const auto number = VersionIn(blob.bytes);
  if (!number.ok()) return wrong;
  KEYHOLD_ASSIGN_OR_RETURN(const auto version, call.store.FindVersion(key.name, static_cast<int>(*number)));
  if (!version) return wrong;
  call.record.key = version->Name();
  KEYHOLD_RETURN_IF_ERROR(CheckEnabled(*version));
  const auto opened =
      OpenCiphertext(key.name, blob.bytes, crypto::AsBytes(aad.bytes), version->material.Expose());
  if (!opened.ok()) return wrong;
  const std::string_view text = opened->ExposeText();
  Json out = {{"plaintext", absl::Base64Escape(absl::string_view(text.data(), text.size()))},
              {"plaintextCrc32c", Decimal(text)},
              {"protectionLevel", version->protection}};
  if (version->number == key.primary) out["usedPrimary"] = true;
  return out;
}

}  // namespace keyhold::localcloud::gcp
