// The operations of AWS IAM, one function each, for the table in iam.cc. Each gets a call that is
// authenticated, and answers the inner XML of its result; errors are AWS errors.
#pragma once

#include <string>

#include "localcloud/aws/iam/input.h"
#include "localcloud/aws/user_store.h"

namespace keyhold::localcloud::aws {

// roles.cc
StatusOr<std::string> CreateRole(const IamCall& iam);
StatusOr<std::string> GetRole(const IamCall& iam);
StatusOr<std::string> ListRoles(const IamCall& iam);
StatusOr<std::string> UpdateAssumeRolePolicy(const IamCall& iam);
StatusOr<std::string> DeleteRole(const IamCall& iam);
StatusOr<std::string> PutRolePolicy(const IamCall& iam);
StatusOr<std::string> GetRolePolicy(const IamCall& iam);
StatusOr<std::string> ListRolePolicies(const IamCall& iam);
StatusOr<std::string> DeleteRolePolicy(const IamCall& iam);

// users.cc
StatusOr<std::string> CreateUser(const IamCall& iam);
StatusOr<std::string> GetUser(const IamCall& iam);
StatusOr<std::string> ListUsers(const IamCall& iam);
StatusOr<std::string> DeleteUser(const IamCall& iam);
StatusOr<std::string> PutUserPolicy(const IamCall& iam);
StatusOr<std::string> GetUserPolicy(const IamCall& iam);
StatusOr<std::string> ListUserPolicies(const IamCall& iam);
StatusOr<std::string> DeleteUserPolicy(const IamCall& iam);

// access_keys.cc
StatusOr<std::string> CreateAccessKey(const IamCall& iam);
StatusOr<std::string> ListAccessKeys(const IamCall& iam);
StatusOr<std::string> UpdateAccessKey(const IamCall& iam);
StatusOr<std::string> DeleteAccessKey(const IamCall& iam);

// The user that UserName names, on which the caller may do what it asks. NamedUserOrCaller(): where there is
// no UserName, the user whose access key signed the request.
StatusOr<User> NamedUser(const IamCall& iam);
StatusOr<User> NamedUserOrCaller(const IamCall& iam);

}  // namespace keyhold::localcloud::aws
