// Whether a principal may do something: its identity policies and the resource's policy together.
// docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html.
#pragma once

#include "localcloud/aws/policy.h"

namespace keyhold::localcloud::aws {

struct AccessQuestion {
  PolicyRequest request;
  std::string resource_account;
  std::string
      resource_policy;  // JSON document; "" where the resource has none (then identity policies decide)
  PolicyKind resource_policy_kind = PolicyKind::kKey;
};

// OK, or AccessDeniedException in AWS's words. An explicit deny anywhere wins. In the resource's own account
// its policy must allow the principal, or the account, and then an identity policy must allow it too; from
// another account both must allow.
Status CheckAccess(const AccessQuestion& question);

}  // namespace keyhold::localcloud::aws
