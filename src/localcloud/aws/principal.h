// Who makes a request, once its signature is verified.
#pragma once

#include <string>
#include <vector>

namespace keyhold::localcloud::aws {

struct Principal {
  std::string account;
  std::string arn;                             // user ARN, or assumed-role session ARN
  std::string role_arn;                        // of a session: the role's; "" for a user
  std::string user_id;                         // as GetCallerIdentity answers it
  std::vector<std::string> identity_policies;  // JSON documents

  // What aws:PrincipalArn is: the user's ARN, or the role's.
  const std::string& policy_arn() const { return role_arn.empty() ? arn : role_arn; }
};

}  // namespace keyhold::localcloud::aws
