#include <algorithm>

#include "absl/strings/str_cat.h"
#include "localcloud/azure/key_service.h"
#include "localcloud/azure/rsa.h"

namespace keyhold::localcloud::azure {
namespace {

struct Use {
  const char* operation;  // of key_ops
  bool needs_enabled;     // operations with the private key do; those with the public one need nothing secret
};
constexpr Use kEncrypt{"encrypt", false};
constexpr Use kDecrypt{"decrypt", true};
constexpr Use kWrap{"wrapKey", false};
constexpr Use kUnwrap{"unwrapKey", true};

Status CheckUse(const KeyVersion& version, const Use& use, absl::Time now) {
  const Json operations = Json::parse(version.operations);
  if (std::find(operations.begin(), operations.end(), use.operation) == operations.end()) {
    return AzureError(403, "Forbidden",
                      absl::StrCat("Operation ", use.operation, " is not permitted on this key."),
                      "KeyOperationForbidden");
  }
  // As the service does it: a disabled key still encrypts and wraps, and a key past its end still decrypts.
  if (use.needs_enabled && !version.enabled) {
    return AzureError(403, "Forbidden",
                      absl::StrCat("Operation ", use.operation, " is not allowed on a disabled key."),
                      "KeyDisabled");
  }
  if (!use.needs_enabled && version.expires && *version.expires <= now) {
    return AzureError(403, "Forbidden",
                      absl::StrCat("Operation ", use.operation, " is not allowed on an expired key."),
                      "KeyExpired");
  }
  if (!use.needs_enabled && version.not_before && *version.not_before > now) {
    return AzureError(
        403, "Forbidden",
        absl::StrCat("Operation ", use.operation, " is not allowed on a key that is not yet valid."),
        "KeyNotYetValid");
  }
  return OkStatus();
}

struct Input {
  KeyVersion version;
  std::string algorithm, value;
};

StatusOr<Input> ReadInput(KeyCall& key, const Use& use) {
  Input input;
  KEYHOLD_ASSIGN_OR_RETURN(input.version, VersionFor(key));
  key.call.record.key =
      absl::StrCat("https://", key.call.http.host, "/keys/", input.version.name, "/", input.version.version);
  KEYHOLD_RETURN_IF_ERROR(CheckUse(input.version, use, key.call.now));
  KEYHOLD_ASSIGN_OR_RETURN(input.algorithm, StringIn(key.call.body, "alg"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string text, StringIn(key.call.body, "value"));
  if (input.algorithm.empty()) return BadParameter("Property 'alg' is required.");
  const auto value = FromBase64Url(text);
  if (!value.ok() || value->empty()) {
    return BadParameter("Content of 'value' is not base64url.\r\nProperty 'value' is required.\r\n");
  }
  input.value = *value;
  return input;
}

Result Answer(const KeyCall& key, const KeyVersion& version, crypto::Bytes value) {
  return {
      200,
      {{"kid", absl::StrCat("https://", key.call.http.host, "/keys/", version.name, "/", version.version)},
       {"value", Base64Url(value)}}};
}

StatusOr<Result> Encrypt(KeyCall& key, const Use& use) {
  KEYHOLD_ASSIGN_OR_RETURN(const Input input, ReadInput(key, use));
  KEYHOLD_ASSIGN_OR_RETURN(const RsaKey rsa, RsaKey::FromDer(input.version.der.Expose()));
  const auto out = rsa.Encrypt(input.algorithm, crypto::AsBytes(input.value));
  if (!out.ok()) return BadParameter(std::string(out.status().message()));
  return Answer(key, input.version, crypto::AsBytes(*out));
}

StatusOr<Result> Decrypt(KeyCall& key, const Use& use) {
  KEYHOLD_ASSIGN_OR_RETURN(const Input input, ReadInput(key, use));
  KEYHOLD_ASSIGN_OR_RETURN(const RsaKey rsa, RsaKey::FromDer(input.version.der.Expose()));
  const auto out = rsa.Decrypt(input.algorithm, crypto::AsBytes(input.value));
  if (!out.ok()) return BadParameter(std::string(out.status().message()));
  return Answer(key, input.version, out->Expose());
}

}  // namespace

StatusOr<Result> EncryptWithKey(KeyCall& key) { return Encrypt(key, kEncrypt); }
StatusOr<Result> DecryptWithKey(KeyCall& key) { return Decrypt(key, kDecrypt); }
StatusOr<Result> WrapWithKey(KeyCall& key) { return Encrypt(key, kWrap); }
StatusOr<Result> UnwrapWithKey(KeyCall& key) { return Decrypt(key, kUnwrap); }

}  // namespace keyhold::localcloud::azure
