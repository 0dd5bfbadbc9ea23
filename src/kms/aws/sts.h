// AWS STS: who we are, and taking on a role.
//
// Query protocol, version 2011-06-15: https://docs.aws.amazon.com/STS/latest/APIReference/
#pragma once

#include <memory>
#include <string>

#include "kms/aws/call.h"
#include "kms/aws/errors.h"

namespace keyhold::kms::aws {

// STS in one region. Safe to use from any thread.
class Sts {
 public:
  Sts(const Caller& caller, const std::string& partition, const std::string& region);

  // The ARN of whoever `source`'s credentials belong to (GetCallerIdentity; it needs no permission).
  StatusOr<std::string> CallerArn(AwsCredentialSource& source, absl::Duration budget) const;

  // Credentials of `role_arn` for an hour. kKmsDenied when the role's trust policy does not let us.
  StatusOr<std::shared_ptr<const AwsCredentials>> AssumeRole(const std::string& role_arn,
                                                             const std::string& external_id,
                                                             AwsCredentialSource& source,
                                                             absl::Duration budget) const;

 private:
  StatusOr<HttpResponse> Call(const std::map<std::string, std::string>& form, AwsCredentialSource& source,
                              const Attempt& attempt, absl::Duration budget) const;

  const Caller caller_;
  const Endpoint endpoint_;
};

// The text of the only element `name` of an XML document, its entities decoded; kKmsCorrupt when there is
// none, or several. Enough for STS's answers, whose elements have no attributes and no mixed content.
StatusOr<crypto::SecretBytes> XmlText(std::string_view xml, std::string_view name);

}  // namespace keyhold::kms::aws
