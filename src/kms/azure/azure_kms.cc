#include "kms/azure/azure_kms.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "crypto/hash.h"
#include "kms/azure/assertion.h"
#include "kms/azure/key_uri.h"
#include "kms/azure/vault.h"
#include "kms/azure/wrap_record.h"
#include "kms/check.h"
#include "kms/text.h"

namespace keyhold::kms::azure {
namespace {

using nlohmann::json;

constexpr size_t kCheckSecretSize = 32;
constexpr size_t kMinModulusSize = 256;  // bytes: RSA of 2048 bits

// What Azure tells of a key, as far as Keyhold looks at it.
struct KeyFacts {
  std::string version;
  std::string kind;        // "RSA", "RSA-HSM", "EC", "oct-HSM"
  std::string operations;  // "wrapKey,unwrapKey"
  bool enabled = false;
  bool can_wrap = false;
  bool can_unwrap = false;
  size_t modulus_size = 0;  // bytes; of RSA keys
};

std::string TextOr(const SecretJson& object, const char* name) {
  const auto text = StringOf(object, name);
  return text.ok() ? std::string(*text) : std::string();
}

const SecretJson* Member(const SecretJson& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

size_t ModulusSize(const SecretJson& key) {
  const auto modulus = DecodeBase64Url(TextOr(key, "n"));
  if (!modulus.ok()) return 0;
  crypto::Bytes bytes = modulus->Expose();
  while (!bytes.empty() && bytes.front() == 0) bytes = bytes.subspan(1);
  return bytes.size();
}

void ReadOperations(const SecretJson& key, KeyFacts& facts) {
  const SecretJson* operations = Member(key, "key_ops");
  if (operations == nullptr || !operations->is_array()) return;
  for (const SecretJson& operation : *operations) {
    if (!operation.is_string()) continue;
    const auto& text = operation.get_ref<const SecretString&>();
    const std::string name = Printable(std::string_view(text.data(), text.size()), 32);
    absl::StrAppend(&facts.operations, facts.operations.empty() ? "" : ",", name);
    facts.can_wrap = facts.can_wrap || name == "wrapKey";
    facts.can_unwrap = facts.can_unwrap || name == "unwrapKey";
  }
}

class AzureKms final : public Kms {
 public:
  AzureKms(KeySpec spec, KeyUri key, HttpTransport& http, const RetryTools& tools, Tokens& tokens)
      : spec_(std::move(spec)),
        key_(std::move(key)),
        tools_(tools),
        vault_(key_, spec_.uri, spec_.auth_principal.empty() ? tokens.HomeTenant() : spec_.auth_principal,
               http, tools, tokens) {}

  const KeySpec& Spec() const override { return spec_; }

  StatusOr<Wrapped> Wrap(crypto::Bytes secret, const Context& context, absl::Duration budget) override {
    if (secret.empty() || secret.size() > kMaxWrappable) {
      return Error(Cause::kInvalidArgument,
                   absl::StrCat("a secret to wrap by Azure Key Vault has 1 to ", kMaxWrappable, " bytes"));
    }
    const crypto::SecretBytes plaintext = MakePlaintext(secret, context);
    KEYHOLD_ASSIGN_OR_RETURN(const SecretJson answer,
                             Operate("wrapKey", key_.version, plaintext.Expose(), budget));
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes wrapped, Result(answer));
    WrapRecord record{"", std::string(wrapped.ExposeText())};
    KEYHOLD_ASSIGN_OR_RETURN(record.version, VersionIn(answer));
    std::string encoded = EncodeRecord(record);
    KEYHOLD_RETURN_IF_ERROR(DecodeRecord(crypto::AsBytes(encoded)).status());
    return Wrapped{std::move(encoded), std::move(record.version)};
  }

  StatusOr<crypto::SecretBytes> Unwrap(crypto::Bytes wrapped, const Context& context,
                                       absl::Duration budget) override {
    KEYHOLD_ASSIGN_OR_RETURN(const WrapRecord record, DecodeRecord(wrapped));
    if (!key_.version.empty() && record.version != key_.version) {
      return Error(Cause::kKmsCorrupt, StrCat({"this wrapped key was made by version ", record.version,
                                               " of the key, and the key spec is of another: ", spec_.uri}));
    }
    KEYHOLD_ASSIGN_OR_RETURN(const SecretJson answer, Operate("unwrapKey", record.version,
                                                              crypto::AsBytes(record.ciphertext), budget));
    KEYHOLD_ASSIGN_OR_RETURN(const std::string version, VersionIn(answer));
    if (version != record.version) return Unverified(StrCat({"is of version ", version}));
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes plaintext, Result(answer));
    return OpenPlaintext(plaintext.Expose(), context);
  }

  StatusOr<KeyDescription> Describe(absl::Duration budget) override {
    const absl::Time deadline = tools_.clock.Now() + budget;
    KEYHOLD_ASSIGN_OR_RETURN(const KeyFacts facts, Facts(budget));
    KEYHOLD_ASSIGN_OR_RETURN(const std::string region, vault_.Region(deadline - tools_.clock.Now()));
    return KeyDescription{spec_.uri, region, facts.enabled ? "Enabled" : "Disabled", facts.operations,
                          SpecOf(facts)};
  }

  CheckReport Check(std::string_view region, const Context& context, absl::Duration budget) override {
    Checker check(tools_.clock, budget);
    if (!check.Step("region", [&](absl::Duration left) { return CheckVaultRegion(region, left); })) {
      return check.TakeReport();
    }
    // Only a missing grant leaves anything to learn from the other steps.
    if (!check.Step("get", [&](absl::Duration left) { return CheckKey(left); }) &&
        check.LastCause() != Cause::kKmsDenied) {
      return check.TakeReport();
    }
    const crypto::SecretBytes secret = tools_.random.Secret(kCheckSecretSize);
    std::string wrapped;
    check.Step("wrapKey", [&](absl::Duration left) -> Status {
      KEYHOLD_ASSIGN_OR_RETURN(Wrapped made, Wrap(secret.Expose(), context, left));
      wrapped = std::move(made.bytes);
      return OkStatus();
    });
    check.Step("unwrapKey", [&](absl::Duration left) { return CheckUnwrap(secret, wrapped, context, left); });
    return check.TakeReport();
  }

 private:
  Status Unverified(std::string_view what) const {
    return Error(Cause::kKmsCorrupt,
                 StrCat({"the answer of ", key_.host, " for ", spec_.uri, " does not verify: it ", what}));
  }

  static std::string SpecOf(const KeyFacts& facts) {
    return facts.modulus_size == 0 ? facts.kind : absl::StrCat(facts.kind, " ", facts.modulus_size * 8);
  }

  // "wrapKey" or "unwrapKey" of `bytes`, by `version` of the key (empty: the newest).
  StatusOr<SecretJson> Operate(const std::string& action, const std::string& version, crypto::Bytes bytes,
                               absl::Duration budget) {
    const absl::Time deadline = tools_.clock.Now() + budget;
    VaultCall call{action, "POST", key_.Path(version) + "/" + absl::AsciiStrToLower(action), {}};
    call.body = WithMember(json{{"alg", "RSA-OAEP-256"}}, "value", EncodeBase64Url(bytes).Expose());
    auto answer = vault_.Send(call, budget);
    return answer.ok() ? std::move(answer) : Closer(answer.status(), deadline);
  }

  // KeyNotFound alone does not say whether the key can still be recovered: its soft-deleted form does.
  Status Closer(const Status& status, absl::Time deadline) {
    if (CauseOf(status) != Cause::kKmsKeyNotFound) return status;
    const auto deleted =
        vault_.Send({"get", "GET", "/deletedkeys/" + key_.name, {}}, deadline - tools_.clock.Now());
    if (deleted.ok()) {
      return Error(Cause::kKmsPendingDeletion,
                   StrCat({"the key ", spec_.uri, " is deleted, and will be purged", PurgeDate(*deleted),
                           "; recover it (az keyvault key recover --vault-name ", key_.vault, " --name ",
                           key_.name, "), or all data under it will be lost for good"}));
    }
    return status;
  }

  static std::string PurgeDate(const SecretJson& deleted) {
    const SecretJson* date = Member(deleted, "scheduledPurgeDate");
    if (date == nullptr || !date->is_number_integer()) return "";
    return absl::StrCat(" at ",
                        absl::FormatTime(absl::RFC3339_sec, absl::FromUnixSeconds(date->get<int64_t>()),
                                         absl::UTCTimeZone()));
  }

  StatusOr<KeyFacts> Facts(absl::Duration budget) {
    const absl::Time deadline = tools_.clock.Now() + budget;
    const auto answer = vault_.Send({"get", "GET", key_.Path(key_.version), {}}, budget);
    if (!answer.ok()) return Closer(answer.status(), deadline);
    const SecretJson* key = Member(*answer, "key");
    const SecretJson* attributes = Member(*answer, "attributes");
    if (key == nullptr || !key->is_object()) return Unverified("has no key");
    if (attributes == nullptr || !attributes->is_object()) return Unverified("has no attributes");
    KeyFacts facts;
    KEYHOLD_ASSIGN_OR_RETURN(facts.version, VersionIn(*key));
    facts.kind = Printable(TextOr(*key, "kty"), 32);
    facts.modulus_size = facts.kind.starts_with("RSA") ? ModulusSize(*key) : 0;
    ReadOperations(*key, facts);
    const SecretJson* enabled = Member(*attributes, "enabled");
    facts.enabled = enabled != nullptr && enabled->is_boolean() && enabled->get<bool>();
    return facts;
  }

  StatusOr<std::string> VersionIn(const SecretJson& object) const {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string_view kid, StringOf(object, "kid"));
    return VersionOf(kid, key_);
  }

  StatusOr<crypto::SecretBytes> Result(const SecretJson& answer) const {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string_view text, StringOf(answer, "value"));
    return DecodeBase64Url(text);
  }

  Status CheckVaultRegion(std::string_view wanted, absl::Duration budget) {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string region, vault_.Region(budget));
    if (region == wanted) return OkStatus();
    return Error(Cause::kKmsWrongKey,
                 StrCat({"the vault ", key_.host, " is in region ", Printable(region, 64),
                         ", the cluster is in ", wanted, "; give a key of a vault in region ", wanted}));
  }

  Status CheckKey(absl::Duration budget) {
    KEYHOLD_ASSIGN_OR_RETURN(const KeyFacts facts, Facts(budget));
    const bool rsa = facts.kind == "RSA" || facts.kind == "RSA-HSM";
    if (!rsa || facts.modulus_size < kMinModulusSize) {
      return Error(Cause::kKmsWrongKey,
                   StrCat({"the key ", spec_.uri, " is of type ", SpecOf(facts),
                           "; create one with --kty RSA (or RSA-HSM) and --size 2048 or more"}));
    }
    if (!facts.can_wrap || !facts.can_unwrap) {
      return Error(Cause::kKmsWrongKey,
                   StrCat({"the key ", spec_.uri, " allows only the operations ", facts.operations,
                           "; allow wrapKey and unwrapKey (az keyvault key set-attributes --ops)"}));
    }
    if (facts.enabled) return OkStatus();
    return Error(Cause::kKmsDisabled, StrCat({"the key ", spec_.uri, " is disabled; enable it first"}));
  }

  Status CheckUnwrap(const crypto::SecretBytes& secret, const std::string& wrapped, const Context& context,
                     absl::Duration budget) {
    if (wrapped.empty()) {
      return Error(Cause::kFailedPrecondition,
                   "unwrapKey could not be tried, since nothing could be wrapped; grant it as well");
    }
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes opened,
                             Unwrap(crypto::AsBytes(wrapped), context, budget));
    if (crypto::ConstantTimeEqual(opened.Expose(), secret.Expose())) return OkStatus();
    return Unverified("unwraps to something else than was wrapped");
  }

  const KeySpec spec_;
  const KeyUri key_;
  const RetryTools tools_;
  Vault vault_;
};

}  // namespace

std::unique_ptr<Kms> NewAzureKms(const KeySpec& spec, HttpTransport& http, const RetryTools& tools,
                                 Tokens& tokens) {
  return std::make_unique<AzureKms>(spec, *ParseKeyUri(spec.uri), http, tools, tokens);
}

}  // namespace keyhold::kms::azure
