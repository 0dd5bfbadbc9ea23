#include "localcloud/aws/iam/iam.h"

#include "absl/strings/str_cat.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/iam/operations.h"

namespace keyhold::localcloud::aws {
namespace {

struct Operation {
  std::string_view name;
  StatusOr<std::string> (*serve)(const IamCall&);
};
constexpr Operation kOperations[] = {
    {"CreateRole", CreateRole},
    {"GetRole", GetRole},
    {"ListRoles", ListRoles},
    {"UpdateAssumeRolePolicy", UpdateAssumeRolePolicy},
    {"DeleteRole", DeleteRole},
    {"PutRolePolicy", PutRolePolicy},
    {"GetRolePolicy", GetRolePolicy},
    {"ListRolePolicies", ListRolePolicies},
    {"DeleteRolePolicy", DeleteRolePolicy},
    {"CreateUser", CreateUser},
    {"GetUser", GetUser},
    {"ListUsers", ListUsers},
    {"DeleteUser", DeleteUser},
    {"PutUserPolicy", PutUserPolicy},
    {"GetUserPolicy", GetUserPolicy},
    {"ListUserPolicies", ListUserPolicies},
    {"DeleteUserPolicy", DeleteUserPolicy},
    {"CreateAccessKey", CreateAccessKey},
    {"ListAccessKeys", ListAccessKeys},
    {"UpdateAccessKey", UpdateAccessKey},
    {"DeleteAccessKey", DeleteAccessKey},
};

}  // namespace

StatusOr<std::string> ServeIam(Call& call, const std::string& action, const Parameters& parameters) {
  for (const Operation& known : kOperations) {
    if (known.name == action) return known.serve({call, parameters, call.principal.account});
  }
  return AwsError("UnknownOperationException",
                  absl::StrCat("Could not find operation ", action.substr(0, 64), " for version 2010-05-08"));
}

}  // namespace keyhold::localcloud::aws
