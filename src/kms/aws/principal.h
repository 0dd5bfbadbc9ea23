// As whom a key is used: the platform's own principal, or the customer's role.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "kms/aws/sts.h"
#include "kms/renewing.h"

namespace keyhold::kms::aws {

// Roles are taken on again when less than this is left of their credentials.
inline constexpr absl::Duration kRenewBefore = absl::Minutes(10);

// The credentials of one auth_principal. Empty, or the platform's own ARN: the platform's credentials as they
// are. A role: AssumeRole with them, renewed before it ends. Safe to use from any thread.
class Principal final : public AwsCredentialSource {
 public:
  // `auth_principal` has been checked. The references must outlive this.
  Principal(Sts sts, std::string auth_principal, std::string external_id, AwsCredentialSource& platform,
            Clock& clock);

  // kInvalidArgument for a user that is not the platform's own: nobody but itself can act as a user.
  StatusOr<std::shared_ptr<const AwsCredentials>> Get(absl::Duration budget) override;

  // The ARN to grant access to; words for it while STS cannot be asked.
  std::string Name(absl::Duration budget);

 private:
  StatusOr<std::string> CallerArn(absl::Duration budget);

  const Sts sts_;
  const std::string auth_principal_;
  const std::string external_id_;
  AwsCredentialSource& platform_;
  Clock& clock_;

  std::mutex mutex_;
  std::string caller_arn_;  // guarded by mutex_; empty until STS told it
  Renewing<AwsCredentials> role_;
};

}  // namespace keyhold::kms::aws
