#include "kms/gcp/gcp_kms.h"

#include <spdlog/spdlog.h>

#include <atomic>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "crypto/hash.h"
#include "kms/check.h"
#include "kms/gcp/errors.h"
#include "kms/gcp/names.h"
#include "kms/gcp/principal.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::gcp {
namespace {

using nlohmann::json;

constexpr size_t kProbeSize = 32;
constexpr absl::Duration kNameBudget = absl::Seconds(2);
constexpr char kEncrypt[] = "cloudkms.cryptoKeyVersions.useToEncrypt";
constexpr char kDecrypt[] = "cloudkms.cryptoKeyVersions.useToDecrypt";
constexpr char kGet[] = "cloudkms.cryptoKeys.get";

// proto3's JSON writes a 64 bit integer as a string; a number is taken too, as its specification asks.
bool HasCrc(const SecretJson& answer, const char* name, crypto::Bytes bytes) {
  const auto found = answer.find(name);
  if (found == answer.end()) return false;
  uint64_t value = 0;
  if (found->is_number_unsigned()) {
    value = found->get<uint64_t>();
  } else if (!found->is_string() || !absl::SimpleAtoi(FieldText(answer, name), &value)) {
    return false;
  }
  return value == Crc32c(bytes);
}

bool IsTrue(const SecretJson& answer, const char* name) {
  const auto found = answer.find(name);
  return found != answer.end() && found->is_boolean() && found->get<bool>();
}

std::string Decimal(uint32_t crc) { return absl::StrCat(crc); }

// The fields that bind a call to its context.
json WithContext(const Context& context) {
  const std::string data = json(context).dump();
  return {{"additionalAuthenticatedData", std::string(EncodeBase64(crypto::AsBytes(data)).ExposeText())},
          {"additionalAuthenticatedDataCrc32c", Decimal(Crc32c(crypto::AsBytes(data)))}};
}

class GcpKms final : public Kms {
 public:
  GcpKms(KeySpec spec, KeyName name, const Caller& caller, Identity& platform)
      : spec_(std::move(spec)),
        name_(std::move(name)),
        caller_(caller),
        principal_(caller, spec_.auth_principal, platform) {}

  const KeySpec& Spec() const override { return spec_; }

  StatusOr<Wrapped> Wrap(crypto::Bytes secret, const Context& context, absl::Duration budget) override {
    if (secret.empty() || secret.size() > kMaxSecretSize) {
      return Error(Cause::kInvalidArgument, "a secret to wrap has 1 to 4096 bytes");
    }
    json request = WithContext(context);
    request["plaintextCrc32c"] = Decimal(Crc32c(secret));
    KEYHOLD_ASSIGN_OR_RETURN(const SecretJson answer,
                             Call("POST", ":encrypt", kEncrypt,
                                  WithMember(request, "plaintext", EncodeBase64(secret).Expose()), budget));
    return Ciphertext(answer);
  }

  StatusOr<crypto::SecretBytes> Unwrap(crypto::Bytes wrapped, const Context& context,
                                       absl::Duration budget) override {
    if (wrapped.empty() || wrapped.size() > kMaxWrappedSize) {
      return Error(Cause::kKmsCorrupt, "a wrapped key has 1 to 6144 bytes");
    }
    json request = WithContext(context);
    request["ciphertextCrc32c"] = Decimal(Crc32c(wrapped));
    KEYHOLD_ASSIGN_OR_RETURN(const SecretJson answer,
                             Call("POST", ":decrypt", kDecrypt,
                                  WithMember(request, "ciphertext", EncodeBase64(wrapped).Expose()), budget));
    return Plaintext(answer);
  }

  StatusOr<KeyDescription> Describe(absl::Duration budget) override {
    const absl::Time deadline = caller_.tools.clock.Now() + budget;
    auto described = Read(budget);
    if (described.ok() || CauseOf(described.status()) != Cause::kKmsDenied) return described;
    // The role that Keyhold is granted may not read the key: that it encrypts says what there is to know.
    const crypto::SecretBytes probe = caller_.tools.random.Secret(kProbeSize);
    KEYHOLD_RETURN_IF_ERROR(Wrap(probe.Expose(), {}, deadline - caller_.tools.clock.Now()).status());
    return KeyDescription{spec_.uri, name_.location, "ENABLED", "ENCRYPT_DECRYPT",
                          "GOOGLE_SYMMETRIC_ENCRYPTION"};
  }

  CheckReport Check(std::string_view region, const Context& context, absl::Duration budget) override {
    Checker check(caller_.tools.clock, budget);
    if (!check.Step("region", [&](absl::Duration) { return CheckRegion(spec_, region); }) ||
        !check.Step("key state", [&](absl::Duration left) { return CheckKey(left); })) {
      return check.TakeReport();
    }
    const crypto::SecretBytes secret = caller_.tools.random.Secret(kProbeSize);
    std::string wrapped;
    check.Step(kEncrypt, [&](absl::Duration left) { return CheckWrap(secret, context, wrapped, left); });
    check.Step(kDecrypt, [&](absl::Duration left) { return CheckUnwrap(secret, wrapped, context, left); });
    return check.TakeReport();
  }

 private:
  Status Unverified(std::string_view what) const {
    return Error(Cause::kKmsCorrupt,
                 StrCat({"the answer of ", kKmsHost, " for ", spec_.uri, " does not verify: it ", what}));
  }

  // The key's method `verb` ("" for the key itself), which takes `permission`.
  StatusOr<SecretJson> Call(const std::string& method, std::string_view verb, const std::string& permission,
                            const crypto::SecretBytes& body, absl::Duration budget) {
    Request request;
    request.method = method;
    request.host = std::string(kKmsHost);
    request.path = StrCat({"/v1/", spec_.uri, verb});
    const absl::Time deadline = caller_.tools.clock.Now() + budget;
    const auto read_failure = [&](const HttpResponse& response) {
      const Failure failure = ParseFailure(response);
      const Cause cause = CauseOfFailure(failure);
      return ToStatus(failure, AttemptOf(permission, cause, deadline), cause);
    };
    KEYHOLD_ASSIGN_OR_RETURN(const HttpResponse answer,
                             caller_.Send(request, body, &principal_, StrCat({permission, " on ", spec_.uri}),
                                          read_failure, budget));
    return ParseSecretJson(answer.body.Expose(), "Google Cloud KMS");
  }

  // The platform's own address may take a call to learn: only who must grant access needs it.
  Attempt AttemptOf(const std::string& permission, Cause cause, absl::Time deadline) {
    std::string email = spec_.auth_principal;
    if (email.empty() && cause == Cause::kKmsDenied) {
      email = principal_.Email(std::min(kNameBudget, deadline - caller_.tools.clock.Now()));
    }
    const std::string member = email.empty() ? "PLATFORM-ACCOUNT" : email;
    return {permission, spec_.uri, email.empty() ? "the platform's service account" : email,
            StrCat({"gcloud kms keys add-iam-policy-binding ", name_.key, " --keyring ", name_.ring,
                    " --location ", name_.location, " --project ", name_.project, " --member serviceAccount:",
                    member, " --role roles/cloudkms.cryptoKeyEncrypterDecrypter"})};
  }

  StatusOr<Wrapped> Ciphertext(const SecretJson& answer) {
    std::string version;
    if (!IsVersionOf(FieldText(answer, "name"), spec_.uri, &version)) {
      return Unverified(StrCat({"speaks of the key version ", Quoted(FieldText(answer, "name"))}));
    }
    if (!IsTrue(answer, "verifiedPlaintextCrc32c") ||
        !IsTrue(answer, "verifiedAdditionalAuthenticatedDataCrc32c")) {
      return Unverified("does not say that what it got is what was sent");
    }
    KEYHOLD_ASSIGN_OR_RETURN(const std::string_view text, StringOf(answer, "ciphertext"));
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes blob, DecodeBase64(text));
    if (blob.empty() || blob.size() > kMaxWrappedSize)
      return Unverified("has a wrapped key of impossible size");
    if (!HasCrc(answer, "ciphertextCrc32c", blob.Expose())) return Unverified("has a wrong ciphertextCrc32c");
    spdlog::info("{} wrapped by its primary version {}", spec_.uri, version);
    return Wrapped{std::string(blob.ExposeText()), std::move(version)};
  }

  StatusOr<crypto::SecretBytes> Plaintext(const SecretJson& answer) {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string_view text, StringOf(answer, "plaintext"));
    KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes secret, DecodeBase64(text));
    if (secret.empty() || secret.size() > kMaxSecretSize)
      return Unverified("has a secret of impossible size");
    if (!HasCrc(answer, "plaintextCrc32c", secret.Expose())) return Unverified("has a wrong plaintextCrc32c");
    NoticePrimary(IsTrue(answer, "usedPrimary"));
    return secret;
  }

  void NoticePrimary(bool used) {
    if (used_primary_.exchange(used) && !used) {
      spdlog::info("{} has another primary version than the one that wrapped the store key; rotate to use it",
                   spec_.uri);
    }
  }

  StatusOr<KeyDescription> Read(absl::Duration budget) {
    KEYHOLD_ASSIGN_OR_RETURN(const SecretJson answer, Call("GET", "", kGet, {}, budget));
    if (FieldText(answer, "name") != spec_.uri) {
      return Unverified(StrCat({"speaks of the key ", Quoted(FieldText(answer, "name"))}));
    }
    KeyDescription description{spec_.uri, name_.location, "", FieldText(answer, "purpose"), ""};
    const auto primary = answer.find("primary");
    if (primary != answer.end() && primary->is_object()) {
      description.state = FieldText(*primary, "state");
      description.spec = FieldText(*primary, "algorithm");
    }
    return description;
  }

  Status CheckKey(absl::Duration budget) {
    const auto key = Read(budget);
    if (!key.ok()) return CauseOf(key.status()) == Cause::kKmsDenied ? OkStatus() : key.status();
    if (key->usage != "ENCRYPT_DECRYPT") {
      return Error(Cause::kKmsWrongKey,
                   StrCat({"the key ", spec_.uri, " has the purpose ", Printable(key->usage),
                           "; create one with --purpose encryption"}));
    }
    if (key->state.empty()) {
      return Error(
          Cause::kKmsDisabled,
          StrCat({"the key ", spec_.uri, " has no primary version; create a version, and make it primary"}));
    }
    if (key->state == "ENABLED") return OkStatus();
    return Error(CauseOfVersionState(key->state),
                 StrCat({"the primary version of the key ", spec_.uri, " is ", Printable(key->state),
                         "; enable it, or make another version primary"}));
  }

  Status CheckWrap(const crypto::SecretBytes& secret, const Context& context, std::string& wrapped,
                   absl::Duration budget) {
    KEYHOLD_ASSIGN_OR_RETURN(Wrapped made, Wrap(secret.Expose(), context, budget));
    wrapped = std::move(made.bytes);
    return OkStatus();
  }

  // Without a wrap of its own to open, a wrong one still tells whether it may be tried: Google looks at the
  // permission first.
  Status CheckUnwrap(const crypto::SecretBytes& secret, const std::string& wrapped, const Context& context,
                     absl::Duration budget) {
    const auto opened = Unwrap(crypto::AsBytes(wrapped.empty() ? "?" : wrapped), context, budget);
    if (wrapped.empty() && CauseOf(opened.status()) == Cause::kKmsCorrupt) return OkStatus();
    KEYHOLD_RETURN_IF_ERROR(opened.status());
    if (crypto::ConstantTimeEqual(opened->Expose(), secret.Expose())) return OkStatus();
    return Unverified("decrypts to something else than was encrypted");
  }

  const KeySpec spec_;
  const KeyName name_;
  const Caller caller_;
  Principal principal_;
  std::atomic<bool> used_primary_ = true;  // of the last unwrap
};

}  // namespace

std::unique_ptr<Kms> NewGcpKms(const KeySpec& spec, const Caller& caller, Identity& platform) {
  return std::make_unique<GcpKms>(spec, *ParseKeyName(spec.uri), caller, platform);
}

}  // namespace keyhold::kms::gcp
