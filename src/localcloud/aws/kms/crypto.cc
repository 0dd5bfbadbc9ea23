#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/kms/input.h"
#include "localcloud/aws/kms/operations.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kSymmetric[] = "SYMMETRIC_DEFAULT";

std::string Base64(crypto::Bytes bytes) {
  return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Status CheckAlgorithm(const Json& in, const char* member) {
  KEYHOLD_ASSIGN_OR_RETURN(auto algorithm, OptionalString(in, member, 64));
  if (!algorithm || *algorithm == kSymmetric) return OkStatus();
  return AwsError(
      "UnsupportedOperationException",
      absl::StrCat("The local cloud encrypts with SYMMETRIC_DEFAULT only, not ", *algorithm, "."));
}

// The key that `name` names, ready to be used for `operation`, as `action` permits.
StatusOr<KmsKey> UsableKey(KmsCall& kms, const std::string& name, const std::string& operation,
                           const std::string& action, const EncryptionContext& context) {
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key,
                           ResolveKey(kms.call, kms.keys, name, KeyNames::kIdsArnsAndAliases, action));
  KEYHOLD_RETURN_IF_ERROR(AuthorizeKey(kms.call, key, action, context));
  KEYHOLD_RETURN_IF_ERROR(CheckState(key, StateRule::kEnabled));
  KEYHOLD_RETURN_IF_ERROR(CheckSymmetric(key, operation));
  return key;
}

struct Sealed {
  std::string blob, material_id;
};

StatusOr<Sealed> SealUnder(KmsCall& kms, const KmsKey& key, const EncryptionContext& context,
                           crypto::Bytes plaintext) {
  KEYHOLD_ASSIGN_OR_RETURN(std::vector<KeyMaterial> materials, kms.keys.Materials(key));
  if (materials.empty()) return Error(Cause::kCorrupt, key.Arn() + " has no material");
  const KeyMaterial& current = materials.back();
  CiphertextHeader header{key.key_id, static_cast<uint32_t>(current.version)};
  return Sealed{SealCiphertext(header, context, current.key.Expose(), kms.call.vault.random(), plaintext),
                current.material_id};
}

struct Opened {
  KmsKey key;
  crypto::SecretBytes plaintext;
  std::string material_id;
};

// A blob that is damaged, of another context or of another cloud: AWS says no more than this.
Status InvalidCiphertext() { return AwsError("InvalidCiphertextException", ""); }

// The key of a blob whose request names none. AWS tells a foreign key, a destroyed one and one of another
// region not apart.
StatusOr<KmsKey> KeyOfBlob(KmsCall& kms, const CiphertextHeader& header) {
  auto key = kms.keys.Find(kms.call.endpoint.region, header.key_id);
  if (key) return *std::move(key);
  return AwsError(
      "AccessDeniedException",
      "The ciphertext refers to a customer master key that does not exist, does not exist in this "
      "region, or you are not allowed to access.");
}

// `members`: the request's names for blob, key, context: those of Decrypt, or of ReEncrypt's source.
struct BlobMembers {
  const char* key;
  const char* context;
  const char* algorithm;
};

StatusOr<Opened> OpenBlob(KmsCall& kms, const Json& in, const BlobMembers& members,
                          const std::string& operation, const std::string& action) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string blob, RequiredBlob(in, "CiphertextBlob", kMaxCiphertext));
  KEYHOLD_ASSIGN_OR_RETURN(auto name, OptionalString(in, members.key, 2048));
  KEYHOLD_ASSIGN_OR_RETURN(EncryptionContext context, OptionalStringMap(in, members.context));
  KEYHOLD_RETURN_IF_ERROR(CheckAlgorithm(in, members.algorithm));
  auto header = ReadCiphertextHeader(blob);
  if (!header.ok() && !name) return InvalidCiphertext();
  StatusOr<KmsKey> key = name ? ResolveKey(kms.call, kms.keys, *name, KeyNames::kIdsArnsAndAliases, action)
                              : KeyOfBlob(kms, *header);
  KEYHOLD_RETURN_IF_ERROR(key.status());
  KEYHOLD_RETURN_IF_ERROR(AuthorizeKey(kms.call, *key, action, context));
  KEYHOLD_RETURN_IF_ERROR(CheckState(*key, StateRule::kEnabled));
  KEYHOLD_RETURN_IF_ERROR(CheckSymmetric(*key, operation));
  if (!header.ok()) return InvalidCiphertext();
  if (header->key_id != key->key_id) {
    return AwsError("IncorrectKeyException",
                    "The key ID in the request does not identify a CMK that can perform this operation.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(std::vector<KeyMaterial> materials, kms.keys.Materials(*key));
  auto material = absl::c_find_if(
      materials, [&](const KeyMaterial& m) { return static_cast<uint32_t>(m.version) == header->material; });
  if (material == materials.end()) return InvalidCiphertext();
  auto plaintext = OpenCiphertext(blob, context, material->key.Expose());
  if (!plaintext.ok()) return InvalidCiphertext();
  return Opened{*std::move(key), *std::move(plaintext), material->material_id};
}

StatusOr<size_t> DataKeySize(const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(auto spec, OptionalString(in, "KeySpec", 64));
  KEYHOLD_ASSIGN_OR_RETURN(auto bytes, OptionalInt(in, "NumberOfBytes", 1, 1024));
  if (spec.has_value() == bytes.has_value()) {
    return AwsError("ValidationException", "Please specify either number of bytes or key spec.");
  }
  if (bytes) return static_cast<size_t>(*bytes);
  if (*spec == "AES_256") return size_t{32};
  if (*spec == "AES_128") return size_t{16};
  return AwsError(
      "ValidationException",
      absl::StrCat("1 validation error detected: Value '", *spec,
                   "' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: "
                   "[AES_256, AES_128]"));
}

StatusOr<Json> MakeDataKey(KmsCall& kms, const Json& in, const std::string& operation, bool with_plaintext) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, RequiredString(in, "KeyId", 2048));
  KEYHOLD_ASSIGN_OR_RETURN(EncryptionContext context, OptionalStringMap(in, "EncryptionContext"));
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key, UsableKey(kms, name, operation, "kms:" + operation, context));
  KEYHOLD_ASSIGN_OR_RETURN(size_t size, DataKeySize(in));
  crypto::SecretBytes data_key = kms.call.vault.random().Secret(size);
  KEYHOLD_ASSIGN_OR_RETURN(Sealed sealed, SealUnder(kms, key, context, data_key.Expose()));
  Json out = {{"KeyId", key.Arn()},
              {"CiphertextBlob", absl::Base64Escape(sealed.blob)},
              {"KeyMaterialId", sealed.material_id}};
  if (with_plaintext) out["Plaintext"] = Base64(data_key.Expose());
  return out;
}

}  // namespace

StatusOr<Json> Encrypt(KmsCall& kms, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, RequiredString(in, "KeyId", 2048));
  KEYHOLD_ASSIGN_OR_RETURN(std::string plaintext, RequiredBlob(in, "Plaintext", kMaxPlaintext));
  KEYHOLD_ASSIGN_OR_RETURN(EncryptionContext context, OptionalStringMap(in, "EncryptionContext"));
  KEYHOLD_RETURN_IF_ERROR(CheckAlgorithm(in, "EncryptionAlgorithm"));
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key, UsableKey(kms, name, "Encrypt", "kms:Encrypt", context));
  KEYHOLD_ASSIGN_OR_RETURN(Sealed sealed, SealUnder(kms, key, context, crypto::AsBytes(plaintext)));
  crypto::Wipe({reinterpret_cast<uint8_t*>(plaintext.data()), plaintext.size()});
  return Json{{"KeyId", key.Arn()},
              {"CiphertextBlob", absl::Base64Escape(sealed.blob)},
              {"EncryptionAlgorithm", kSymmetric}};
}

StatusOr<Json> Decrypt(KmsCall& kms, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(
      Opened opened,
      OpenBlob(kms, in, {"KeyId", "EncryptionContext", "EncryptionAlgorithm"}, "Decrypt", "kms:Decrypt"));
  return Json{{"KeyId", opened.key.Arn()},
              {"Plaintext", Base64(opened.plaintext.Expose())},
              {"EncryptionAlgorithm", kSymmetric},
              {"KeyMaterialId", opened.material_id}};
}

StatusOr<Json> ReEncrypt(KmsCall& kms, const Json& in) {
  KEYHOLD_ASSIGN_OR_RETURN(
      Opened opened,
      OpenBlob(kms, in, {"SourceKeyId", "SourceEncryptionContext", "SourceEncryptionAlgorithm"}, "ReEncrypt",
               "kms:ReEncryptFrom"));
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, RequiredString(in, "DestinationKeyId", 2048));
  KEYHOLD_ASSIGN_OR_RETURN(EncryptionContext context, OptionalStringMap(in, "DestinationEncryptionContext"));
  KEYHOLD_RETURN_IF_ERROR(CheckAlgorithm(in, "DestinationEncryptionAlgorithm"));
  KEYHOLD_ASSIGN_OR_RETURN(KmsKey key, UsableKey(kms, name, "ReEncrypt", "kms:ReEncryptTo", context));
  KEYHOLD_ASSIGN_OR_RETURN(Sealed sealed, SealUnder(kms, key, context, opened.plaintext.Expose()));
  return Json{{"CiphertextBlob", absl::Base64Escape(sealed.blob)},
              {"SourceKeyId", opened.key.Arn()},
              {"KeyId", key.Arn()},
              {"SourceEncryptionAlgorithm", kSymmetric},
              {"DestinationEncryptionAlgorithm", kSymmetric},
              {"SourceKeyMaterialId", opened.material_id},
              {"DestinationKeyMaterialId", sealed.material_id}};
}

StatusOr<Json> GenerateDataKey(KmsCall& kms, const Json& in) {
  return MakeDataKey(kms, in, "GenerateDataKey", true);
}

StatusOr<Json> GenerateDataKeyWithoutPlaintext(KmsCall& kms, const Json& in) {
  return MakeDataKey(kms, in, "GenerateDataKeyWithoutPlaintext", false);
}

}  // namespace keyhold::localcloud::aws
