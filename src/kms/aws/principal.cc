#include "kms/aws/principal.h"

#include "kms/aws/arn.h"
#include "kms/text.h"

namespace keyhold::kms::aws {

using Credentials = std::shared_ptr<const AwsCredentials>;

Principal::Principal(Sts sts, std::string auth_principal, std::string external_id,
                     AwsCredentialSource& platform, Clock& clock)
    : sts_(std::move(sts)),
      auth_principal_(std::move(auth_principal)),
      external_id_(std::move(external_id)),
      platform_(platform),
      clock_(clock),
      role_(
          [this](absl::Duration budget) {
            return sts_.AssumeRole({auth_principal_, external_id_, ""}, platform_, budget);
          },
          kRenewBefore, clock) {}

StatusOr<Credentials> Principal::Get(absl::Duration budget) {
  if (auth_principal_.empty()) return platform_.Get(budget);
  const absl::Time deadline = clock_.Now() + budget;
  KEYHOLD_ASSIGN_OR_RETURN(const PrincipalArn wanted, ParsePrincipalArn(auth_principal_));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string caller, CallerArn(budget));
  if (IsCaller(wanted, caller)) return platform_.Get(deadline - clock_.Now());
  if (wanted.is_role) return role_.Get(deadline - clock_.Now());
  return Error(
      Cause::kInvalidArgument,
      StrCat({"auth_principal ", auth_principal_, " is an IAM user other than the platform's own (",
              GrantableArn(caller), "); give a role that it may assume, or leave auth_principal out"}));
}

std::string Principal::Name(absl::Duration budget) {
  if (!auth_principal_.empty()) return auth_principal_;
  const auto caller = CallerArn(budget);
  return caller.ok() ? GrantableArn(*caller) : "the platform's principal";
}

StatusOr<std::string> Principal::CallerArn(absl::Duration budget) {
  {
    const std::lock_guard lock(mutex_);
    if (!caller_arn_.empty()) return caller_arn_;
  }
  // Not under the lock: a hanging STS must not hold up who has what it needs. Two may ask; both learn the
  // same.
  KEYHOLD_ASSIGN_OR_RETURN(const std::string arn, sts_.CallerArn(platform_, budget));
  const std::lock_guard lock(mutex_);
  caller_arn_ = arn;
  return arn;
}

}  // namespace keyhold::kms::aws
