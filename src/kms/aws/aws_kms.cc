#include "kms/aws/aws_kms.h"

#include "absl/strings/match.h"
#include "crypto/hash.h"
#include "kms/aws/arn.h"
#include "kms/aws/errors.h"
#include "kms/aws/principal.h"
#include "kms/check.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

using nlohmann::json;

constexpr size_t kDataKeySize = 32;
constexpr absl::Duration kNameBudget = absl::Seconds(2);

// "com.amazonaws.kms#NotFoundException" -> "NotFoundException", as the AWS JSON protocol asks of clients.
std::string BareType(std::string_view type) {
  type = type.substr(type.find('#') + 1);
  return std::string(type.substr(0, type.find(':')));
}

std::string TextOr(const SecretJson& object, const char* name) {
  const auto text = StringOf(object, name);
  return text.ok() ? std::string(*text) : std::string();
}

Failure ParseFailure(const HttpResponse& response) {
  Failure failure{response.status, "", ""};
  const auto header = response.headers.find("x-amzn-errortype");
  if (header != response.headers.end()) failure.type = BareType(header->second);
  const auto body = ParseSecretJson(response.body.Expose(), "AWS KMS");
  if (!body.ok()) return failure;
  if (const std::string type = TextOr(*body, "__type"); !type.empty()) failure.type = BareType(type);
  failure.message = TextOr(*body, "message");
  if (failure.message.empty()) failure.message = TextOr(*body, "Message");
  return failure;
}

class AwsKms final : public Kms {
 public:
  AwsKms(KeySpec spec, std::string host, std::string region, const Caller& caller, Sts sts,
         AwsCredentialSource& platform, const std::string& external_id)
      : spec_(std::move(spec)),
        caller_(caller),
        host_(std::move(host)),
        region_(std::move(region)),
        principal_(std::move(sts), spec_.auth_principal, external_id, platform, caller.tools.clock) {}

  const KeySpec& Spec() const override { return spec_; }

  StatusOr<Wrapped> Wrap(crypto::Bytes secret, const Context& context, absl::Duration budget) override {
    if (secret.empty() || secret.size() > kMaxSecretSize) {
      return Error(Cause::kInvalidArgument, "a secret to wrap has 1 to 4096 bytes");
    }
    const json request = {{"KeyId", spec_.uri}, {"EncryptionContext", context}};
    KEYHOLD_ASSIGN_OR_RETURN(
        const SecretJson answer,
        Call("Encrypt", WithMember(request, "Plaintext", EncodeBase64(secret).Expose()), budget));
    KEYHOLD_ASSIGN_OR_RETURN(std::string blob, Ciphertext(answer));
    return Wrapped{std::move(blob), ""};  // an answer of Encrypt names no key material
  }

  StatusOr<crypto::SecretBytes> Unwrap(crypto::Bytes wrapped, const Context& context,
                                       absl::Duration budget) override {
    if (wrapped.empty() || wrapped.size() > kMaxWrappedSize) {
      return Error(Cause::kKmsCorrupt, "a wrapped key has 1 to 6144 bytes");
    }
    // KeyId is optional here. With it AWS refuses what another key wrapped, instead of using that key.
    const json request = {{"KeyId", spec_.uri}, {"EncryptionContext", context}};
    KEYHOLD_ASSIGN_OR_RETURN(
        const SecretJson answer,
        Call("Decrypt", WithMember(request, "CiphertextBlob", EncodeBase64(wrapped).Expose()), budget));
    return Plaintext(answer);
  }

  StatusOr<KeyDescription> Describe(absl::Duration budget) override {
    KEYHOLD_ASSIGN_OR_RETURN(
        const SecretJson answer,
        Call("DescribeKey", WithMember(json::object(), "KeyId", crypto::AsBytes(spec_.uri)), budget));
    const auto metadata = answer.find("KeyMetadata");
    if (metadata == answer.end() || !metadata->is_object()) return Unverified("has no KeyMetadata");
    KEYHOLD_RETURN_IF_ERROR(VerifyKey(*metadata, "Arn"));
    KeyDescription description{spec_.uri, region_, TextOr(*metadata, "KeyState"),
                               TextOr(*metadata, "KeyUsage"), TextOr(*metadata, "KeySpec")};
    // Seconds since 1970, with a fraction; too many are infinite.
    if (const auto date = metadata->find("DeletionDate"); date != metadata->end() && date->is_number())
      description.deletion_at =
          absl::UnixEpoch() + absl::Trunc(absl::Seconds(date->get<double>()), absl::Seconds(1));
    if (description.state.empty()) return Unverified("has no KeyState");
    return description;
  }

  CheckReport Check(std::string_view region, const Context& context, absl::Duration budget) override {
    Checker check(caller_.tools.clock, budget);
    if (!check.Step("region", [&](absl::Duration) { return CheckRegion(spec_, region); })) {
      return check.TakeReport();
    }
    // Only a missing grant leaves anything to learn from the other steps.
    if (!check.Step("kms:DescribeKey", [&](absl::Duration left) { return CheckKey(left); }) &&
        check.LastCause() != Cause::kKmsDenied) {
      return check.TakeReport();
    }
    const crypto::SecretBytes secret = caller_.tools.random.Secret(kDataKeySize);
    std::string wrapped;
    check.Step("kms:Encrypt", [&](absl::Duration left) { return CheckWrap(secret, context, wrapped, left); });
    crypto::SecretBytes data_key;
    std::string wrapped_data_key;
    check.Step("kms:GenerateDataKey", [&](absl::Duration left) {
      return GenerateDataKey(context, data_key, wrapped_data_key, left);
    });
    check.Step("kms:Decrypt", [&](absl::Duration left) {
      return wrapped.empty() ? CheckUnwrap(data_key, wrapped_data_key, context, left)
                             : CheckUnwrap(secret, wrapped, context, left);
    });
    return check.TakeReport();
  }

 private:
  Status Unverified(std::string_view what) const {
    return Error(Cause::kKmsCorrupt,
                 StrCat({"the answer of ", host_, " for ", spec_.uri, " does not verify: it ", what}));
  }

  // One action of the KMS; the answer's KeyId is verified where it has one.
  StatusOr<SecretJson> Call(const std::string& action, const crypto::SecretBytes& body,
                            absl::Duration budget) {
    const Endpoint endpoint{
        host_, region_, "kms", "application/x-amz-json-1.1", {{"X-Amz-Target", "TrentService." + action}}};
    const absl::Time deadline = caller_.tools.clock.Now() + budget;
    const auto read_failure = [&](const HttpResponse& response) {
      const Failure failure = ParseFailure(response);
      const Cause cause = CauseOfFailure(failure);
      return ToStatus(failure, {"kms:" + action, spec_.uri, PrincipalName(cause, deadline)}, cause);
    };
    const auto response = caller_.Send(endpoint, body, principal_,
                                       StrCat({"kms:", action, " on ", spec_.uri}), read_failure, budget);
    if (!response.ok()) return Closer(response.status(), action, deadline);
    return ParseSecretJson(response->body.Expose(), StrCat({"AWS KMS at ", host_}));
  }

  // The platform's own ARN may take a call to learn: only who must grant access needs it.
  std::string PrincipalName(Cause cause, absl::Time deadline) {
    if (cause != Cause::kKmsDenied && spec_.auth_principal.empty()) return "the platform's principal";
    return principal_.Name(std::min(kNameBudget, deadline - caller_.tools.clock.Now()));
  }

  // KMSInvalidStateException alone does not say which state it is: DescribeKey does.
  Status Closer(const Status& status, const std::string& action, absl::Time deadline) {
    if (action == "DescribeKey" || !absl::StrContains(status.message(), "KMSInvalidStateException") ||
        CauseOf(status) == Cause::kKmsPendingDeletion) {
      return status;
    }
    const auto description = Describe(deadline - caller_.tools.clock.Now());
    if (!description.ok() || description->state == "Enabled") return status;
    return Error(CauseOfKeyState(description->state),
                 StrCat({std::string(status.message()), " (the key's state is ", description->state, ")"}));
  }

  Status VerifyKey(const SecretJson& object, const char* field) const {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string_view key, StringOf(object, field));
    if (key == spec_.uri) return OkStatus();
    return Unverified(StrCat({"speaks of the key ", Quoted(key)}));
  }

  StatusOr<std::string> Ciphertext(const SecretJson& answer) const {
    KEYHOLD_RETURN_IF_ERROR(VerifyKey(answer, "KeyId"));
    KEYHOLD_ASSIGN_OR_RETURN(const std::string_view text, StringOf(answer, "CiphertextBlob"));
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes blob, DecodeBase64(text));
    if (blob.empty() || blob.size() > kMaxWrappedSize)
      return Unverified("has a wrapped key of impossible size");
    return std::string(blob.ExposeText());
  }

  StatusOr<crypto::SecretBytes> Plaintext(const SecretJson& answer) const {
    KEYHOLD_RETURN_IF_ERROR(VerifyKey(answer, "KeyId"));
    KEYHOLD_ASSIGN_OR_RETURN(const std::string_view text, StringOf(answer, "Plaintext"));
    KEYHOLD_ASSIGN_OR_RETURN(crypto::SecretBytes secret, DecodeBase64(text));
    if (secret.empty() || secret.size() > kMaxSecretSize)
      return Unverified("has a secret of impossible size");
    return secret;
  }

  Status CheckKey(absl::Duration budget) {
    KEYHOLD_ASSIGN_OR_RETURN(const KeyDescription key, Describe(budget));
    if (key.usage != "ENCRYPT_DECRYPT" || key.spec != "SYMMETRIC_DEFAULT") {
      return Error(
          Cause::kKmsWrongKey,
          StrCat({"the key ", spec_.uri, " has usage ", Printable(key.usage), " and key spec ",
                  Printable(key.spec), "; create one with --key-usage ENCRYPT_DECRYPT and the key spec ",
                  "SYMMETRIC_DEFAULT"}));
    }
    if (key.state == "Enabled") return OkStatus();
    return Error(
        CauseOfKeyState(key.state),
        StrCat({"the key ", spec_.uri, " is in state ", Printable(key.state),
                key.state == "Disabled" ? "; enable it first" : "; only an Enabled key can be used"}));
  }

  Status CheckWrap(const crypto::SecretBytes& secret, const Context& context, std::string& wrapped,
                   absl::Duration budget) {
    KEYHOLD_ASSIGN_OR_RETURN(Wrapped made, Wrap(secret.Expose(), context, budget));
    wrapped = std::move(made.bytes);
    return OkStatus();
  }

  Status GenerateDataKey(const Context& context, crypto::SecretBytes& data_key, std::string& wrapped,
                         absl::Duration budget) {
    const json request = {{"EncryptionContext", context}, {"KeySpec", "AES_256"}};
    KEYHOLD_ASSIGN_OR_RETURN(
        const SecretJson answer,
        Call("GenerateDataKey", WithMember(request, "KeyId", crypto::AsBytes(spec_.uri)), budget));
    KEYHOLD_ASSIGN_OR_RETURN(data_key, Plaintext(answer));
    if (data_key.size() != kDataKeySize) return Unverified("has a data key of another size than asked for");
    KEYHOLD_ASSIGN_OR_RETURN(wrapped, Ciphertext(answer));
    return OkStatus();
  }

  Status CheckUnwrap(const crypto::SecretBytes& secret, const std::string& wrapped, const Context& context,
                     absl::Duration budget) {
    if (wrapped.empty()) {
      return Error(Cause::kFailedPrecondition,
                   "kms:Decrypt could not be tried, since nothing could be encrypted; grant it as well");
    }
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes opened,
                             Unwrap(crypto::AsBytes(wrapped), context, budget));
    if (crypto::ConstantTimeEqual(opened.Expose(), secret.Expose())) return OkStatus();
    return Unverified("decrypts to something else than was encrypted");
  }

  const KeySpec spec_;
  const Caller caller_;
  const std::string host_;
  const std::string region_;
  Principal principal_;
};

}  // namespace

StatusOr<std::unique_ptr<Kms>> NewAwsKms(const KeySpec& spec, const Caller& caller,
                                         AwsCredentialSource& platform, const std::string& external_id) {
  KEYHOLD_ASSIGN_OR_RETURN(const KeyArn arn, ParseKeyArn(spec.uri));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string host, caller.endpoints.Host("kms", arn.partition, arn.region));
  KEYHOLD_ASSIGN_OR_RETURN(const Sts sts, Sts::In(caller, arn.partition, arn.region));
  return std::make_unique<AwsKms>(spec, host, arn.region, caller, sts, platform, external_id);
}

}  // namespace keyhold::kms::aws
