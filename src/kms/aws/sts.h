// AWS STS: who we are, and taking on a role.
//
// Query protocol, version 2011-06-15: https://docs.aws.amazon.com/STS/latest/APIReference/
#pragma once

#include <memory>
#include <string>

#include "kms/aws/call.h"
#include "kms/aws/errors.h"

namespace keyhold::kms::aws {

// A role to take on. The external id may be empty; the session's name then is "keyhold".
struct Role {
  std::string arn;
  std::string external_id;
  std::string session;
};

// STS in one region. Safe to use from any thread.
class Sts {
 public:
  // Errors as of Endpoints::Host.
  static StatusOr<Sts> In(const Caller& caller, const std::string& partition, const std::string& region);

  // The ARN of whoever `source`'s credentials belong to (GetCallerIdentity; it needs no permission).
  StatusOr<std::string> CallerArn(AwsCredentialSource& source, absl::Duration budget) const;

  // Credentials of `role` for an hour. kKmsDenied when the role's trust policy does not let us.
  StatusOr<std::shared_ptr<const AwsCredentials>> AssumeRole(const Role& role, AwsCredentialSource& source,
                                                             absl::Duration budget) const;

  // The same by an identity provider's `token` (OIDC), unsigned. kKmsBadCredentials when the token is not
  // taken.
  StatusOr<std::shared_ptr<const AwsCredentials>> AssumeRoleWithWebIdentity(const Role& role,
                                                                            std::string_view token,
                                                                            absl::Duration budget) const;

 private:
  Sts(const Caller& caller, const std::string& host, const std::string& region);

  StatusOr<HttpResponse> Call(const crypto::SecretBytes& form, AwsCredentialSource& source,
                              const Attempt& attempt, absl::Duration budget) const;

  const Caller caller_;
  const Endpoint endpoint_;
};

// The text of the only element `name` of an XML document, its entities decoded; kKmsCorrupt when there is
// none, or several. Enough for STS's answers, whose elements have no attributes and no mixed content.
StatusOr<crypto::SecretBytes> XmlText(std::string_view xml, std::string_view name);

}  // namespace keyhold::kms::aws
