#include "node/key_check.h"

#include <utility>

#include "crypto/hash.h"

namespace keyhold::node {
namespace {

constexpr absl::Duration kLookBudget = absl::Seconds(2);

constexpr size_t kSecretSize = 32;

class Lines {
 public:
  explicit Lines(const Clock& clock) : clock_(clock) {}

  // `status` as a line; true when it passed. It took the time since the line before.
  bool Add(const std::string& name, const Status& status) {
    return Add(name, status.ok(), status.ok() ? Cause::kInternal : CauseOf(status),
               std::string(status.message()), Lap());
  }
  bool Add(const std::string& name, bool passed, Cause cause, const std::string& message,
           absl::Duration took) {
    report_.steps.push_back({name, passed ? "PASS" : "FAIL", passed ? "" : std::string(CauseName(cause)),
                             passed ? "" : message, absl::ToInt64Microseconds(took)});
    failed_ = failed_ || !passed;
    return passed;
  }
  void Warn(const std::string& name, const std::string& message) {
    report_.steps.push_back({name, "WARN", "", message, 0});
  }

  absl::Duration Lap() { return clock_.Now() - std::exchange(since_, clock_.Now()); }
  bool failed() const { return failed_; }
  wire::CheckReport Take() {
    report_.usable = !failed_ && !report_.steps.empty();
    return std::move(report_);
  }

 private:
  const Clock& clock_;
  absl::Time since_ = clock_.Now();
  wire::CheckReport report_;
  bool failed_ = false;
};

// Whether the KMS answered at all, and knew us. What it answered is for later lines.
bool AddReach(Lines& lines, const Status& described) {
  const Cause cause = described.ok() ? Cause::kInternal : CauseOf(described);
  const bool silent = cause == Cause::kKmsUnreachable || cause == Cause::kKmsThrottled;
  if (!lines.Add("reach", silent ? described : OkStatus())) return false;
  return lines.Add("credentials", cause == Cause::kKmsBadCredentials ? described : OkStatus());
}

// A key of the wrong kind, or not enabled, is no missing permission.
std::string NameOf(const kms::CheckStep& step) {
  if (step.passed || step.name == "region") return step.name;
  switch (step.cause) {
    case Cause::kKmsWrongKey:
      return "key kind";
    case Cause::kKmsDisabled:
    case Cause::kKmsPendingDeletion:
    case Cause::kKmsKeyNotFound:
      return "key state";
    default:
      return step.name;
  }
}

void AddPermissions(Lines& lines, const kms::CheckReport& report) {
  for (const kms::CheckStep& step : report.steps)
    lines.Add(NameOf(step), step.passed, step.cause, step.message, step.took);
  lines.Lap();
}

Status RoundTrip(kms::Kms& kms, const kms::Context& context, crypto::Random& random, absl::Duration budget) {
  const crypto::SecretBytes secret = random.Secret(kSecretSize);
  KEYHOLD_ASSIGN_OR_RETURN(const kms::Wrapped wrapped, kms.Wrap(secret.Expose(), context, budget / 2));
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes opened,
                           kms.Unwrap(crypto::AsBytes(wrapped.bytes), context, budget / 2));
  if (crypto::ConstantTimeEqual(opened.Expose(), secret.Expose())) return OkStatus();
  return Error(Cause::kKmsCorrupt, "the KMS does not unwrap what it wrapped with the key " + kms.Spec().uri);
}

// The seed's safety list, as far as nobody but the key's owner can see to it.
struct Advice {
  const char* deletion;
  const char* rotation;
};

Advice AdviceFor(kms::KeyType type) {
  switch (type) {
    case kms::KeyType::kGcpCloudKms:
      return {
          "destroyed versions can be restored until the key's destroy-scheduled-duration has passed; see to "
          "it: gcloud "
          "kms keys describe KEY --format='value(destroyScheduledDuration)'",
          "see whether it rotates: gcloud kms keys describe KEY --format='value(rotationPeriod)'; after a "
          "rotation: "
          "ccloud cluster cmek rotate CLUSTER"};
    case kms::KeyType::kAzureKeyVault:
      return {"turn purge protection on: az keyvault update --name VAULT --enable-purge-protection true",
              "see whether it rotates: az keyvault key rotation-policy show; after a rotation: ccloud "
              "cluster cmek rotate "
              "CLUSTER"};
    default:
      return {
          "no deletion is scheduled, and AWS KMS waits 7 days or more before one; who may schedule it, the "
          "key's policy "
          "says: aws kms get-key-policy --key-id KEY --policy-name default",
          "see whether it rotates: aws kms get-key-rotation-status --key-id KEY; after a rotation: ccloud "
          "cluster cmek "
          "rotate CLUSTER"};
  }
}

}  // namespace

wire::CheckReport CheckKey(kms::Kms& kms, const std::string& region, const kms::Context& context,
                           const Clock& clock, crypto::Random& random, absl::Duration budget) {
  Lines lines(clock);
  const absl::Time deadline = clock.Now() + budget;
  if (const Status right = kms::CheckRegion(kms.Spec(), region); !right.ok()) {
    lines.Add("region", right);
    return lines.Take();
  }
  const auto described = kms.Describe(budget / 3);
  if (!AddReach(lines, described.status())) return lines.Take();
  AddPermissions(lines, kms.Check(region, context, deadline - clock.Now()));
  if (lines.failed()) return lines.Take();
  lines.Add("wrap round trip", RoundTrip(kms, context, random, deadline - clock.Now()));
  const Advice advice = AdviceFor(kms.Spec().type);
  lines.Warn("deletion protection", advice.deletion);
  lines.Warn("rotation", advice.rotation);
  return lines.Take();
}

absl::Time DeletionOf(kms::KmsProvider& provider, const wire::KeySpec& key) {
  const auto spec = kms::MakeKeySpec(key.type, key.uri, key.auth_principal);
  if (!spec.ok()) return absl::InfiniteFuture();
  const auto kms = provider.Open(*spec);
  if (!kms.ok()) return absl::InfiniteFuture();
  const auto description = (*kms)->Describe(kLookBudget);
  return description.ok() ? description->deletion_at : absl::InfiniteFuture();
}

}  // namespace keyhold::node
