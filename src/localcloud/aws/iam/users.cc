#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/iam/operations.h"
#include "localcloud/aws/query.h"

namespace keyhold::localcloud::aws {
namespace {

// Of a new user and of one that is there: docs.aws.amazon.com/IAM/latest/APIReference API_CreateUser.html,
// API_GetUser.html. The quota: reference_iam-quotas.html of the User Guide.
constexpr size_t kMaxUserName = 64;
constexpr size_t kMaxExistingUserName = 128;
constexpr size_t kMaxUserPolicies = 2048;

std::string ArnOf(const User& user) { return UserArn(user.account, user.path, user.name); }

InlinePolicies PoliciesOf(const IamCall& iam, const User& user) {
  return {iam.call.sql, PolicyHolder::kUser, user.account, user.name};
}

std::string UserXml(const User& user) {
  return XmlText("Path", user.path) + XmlText("UserName", user.name) + XmlText("UserId", user.user_id) +
         XmlText("Arn", ArnOf(user)) + XmlText("CreateDate", XmlTime(absl::ToUnixSeconds(user.created)));
}

// Names differ by more than case.
bool IsTaken(const IamCall& iam, const std::string& name) {
  for (const User& user : UserStore(iam.call.sql).List(iam.account))
    if (absl::EqualsIgnoreCase(user.name, name)) return true;
  return false;
}

StatusOr<User> AuthorizedUser(const IamCall& iam, const std::string& name) {
  auto user = UserStore(iam.call.sql).Find(iam.account, name);
  std::string path = user.ok() ? user->path : "/";
  KEYHOLD_RETURN_IF_ERROR(Authorize(iam, UserArn(iam.account, path, name)));
  return user;
}

}  // namespace

StatusOr<User> NamedUser(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, Name(iam, "UserName", kMaxExistingUserName));
  return AuthorizedUser(iam, name);
}

StatusOr<User> NamedUserOrCaller(const IamCall& iam) {
  if (FindParameter(iam.parameters, "UserName") != nullptr) return NamedUser(iam);
  const Principal& caller = iam.call.principal;
  if (!caller.role_arn.empty()) {
    return AwsError("ValidationException", "Must specify userName when calling with non-User credentials");
  }
  return AuthorizedUser(iam, caller.arn.substr(caller.arn.rfind('/') + 1));
}

StatusOr<std::string> CreateUser(const IamCall& iam) {
  KEYHOLD_RETURN_IF_ERROR(RefuseUnsupported(iam));
  User user;
  user.account = iam.account;
  KEYHOLD_ASSIGN_OR_RETURN(user.name, Name(iam, "UserName", kMaxUserName));
  KEYHOLD_ASSIGN_OR_RETURN(user.path, Path(iam));
  KEYHOLD_RETURN_IF_ERROR(Authorize(iam, ArnOf(user)));
  if (IsTaken(iam, user.name)) {
    return AwsError("EntityAlreadyExists", absl::StrCat("User with name ", user.name, " already exists."));
  }
  user.user_id = NewUniqueId("AIDA", iam.call.vault.random());
  user.created = iam.call.now;
  UserStore(iam.call.sql).Add(user);
  return XmlTree("User", UserXml(user));
}

StatusOr<std::string> GetUser(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUserOrCaller(iam));
  return XmlTree("User", UserXml(user));
}

StatusOr<std::string> ListUsers(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string prefix, PathPrefix(iam));
  KEYHOLD_RETURN_IF_ERROR(Authorize(iam, UserArn(iam.account, prefix, "")));
  ListItems items;
  for (const User& user : UserStore(iam.call.sql).List(iam.account)) {
    if (absl::StartsWith(user.path, prefix)) items.emplace_back(user.name, XmlTree("member", UserXml(user)));
  }
  return ListXml(iam, "Users", items);
}

StatusOr<std::string> DeleteUser(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUser(iam));
  if (!AccessKeyStore(iam.call.sql, user).List().empty()) {
    return AwsError("DeleteConflict", "Cannot delete entity, must delete access keys first.");
  }
  if (!PoliciesOf(iam, user).List().empty()) {
    return AwsError("DeleteConflict", "Cannot delete entity, must delete policies first.");
  }
  UserStore(iam.call.sql).Delete(user);
  return std::string();
}

StatusOr<std::string> PutUserPolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUser(iam));
  return PutPolicy(iam, PoliciesOf(iam, user), {"user", user.name, kMaxUserPolicies});
}

StatusOr<std::string> GetUserPolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUser(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string policy, GetPolicy(iam, PoliciesOf(iam, user), "user"));
  return XmlText("UserName", user.name) + policy;
}

StatusOr<std::string> ListUserPolicies(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUser(iam));
  return ListPolicies(iam, PoliciesOf(iam, user));
}

StatusOr<std::string> DeleteUserPolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(User user, NamedUser(iam));
  return DeletePolicy(iam, PoliciesOf(iam, user), "user");
}

}  // namespace keyhold::localcloud::aws
