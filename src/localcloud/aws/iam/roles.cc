#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/iam/operations.h"
#include "localcloud/aws/policy.h"
#include "localcloud/aws/query.h"

namespace keyhold::localcloud::aws {
namespace {

// The quotas of docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
constexpr size_t kMaxRoleName = 64;
constexpr size_t kMaxTrustPolicy = 2048;
constexpr size_t kMaxRolePolicies = 10240;

// The role that RoleName names, which the caller may work on.
StatusOr<Role> NamedRole(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, Name(iam, "RoleName", kMaxRoleName));
  auto role = iam.call.identities.FindRole(iam.account, name);
  std::string path = role.ok() ? role->path : "/";
  KEYHOLD_RETURN_IF_ERROR(Authorize(iam, RoleArn(iam.account, path, name)));
  return role;
}

InlinePolicies PoliciesOf(const IamCall& iam, const Role& role) {
  return {iam.call.sql, PolicyHolder::kRole, role.account, role.name};
}

std::string RoleXml(const Role& role) {
  return XmlText("Path", role.path) + XmlText("RoleName", role.name) + XmlText("RoleId", role.role_id) +
         XmlText("Arn", RoleArn(role.account, role.path, role.name)) +
         XmlText("CreateDate", XmlTime(absl::ToUnixSeconds(role.created))) +
         XmlText("AssumeRolePolicyDocument", PercentEncoded(role.trust_policy)) +
         (role.description.empty() ? "" : XmlText("Description", role.description)) +
         XmlText("MaxSessionDuration", absl::StrCat(role.max_session_seconds));
}

// A trust policy that parses and trusts only those who are there.
StatusOr<std::string> TrustPolicy(const IamCall& iam, std::string_view parameter) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string text, RequiredParameter(iam.parameters, parameter, 131072));
  if (text.size() > kMaxTrustPolicy) {
    return AwsError("LimitExceededException", "Cannot exceed quota for ACLSizePerRole: 2048");
  }
  KEYHOLD_ASSIGN_OR_RETURN(Policy policy, Policy::Parse(text, PolicyKind::kTrust));
  for (const std::string& arn : policy.PrincipalArns()) {
    if (iam.call.identities.PrincipalExists(arn)) continue;
    return AwsError("MalformedPolicyDocumentException",
                    absl::StrCat("Invalid principal in policy: \"AWS\":\"", arn, "\""));
  }
  return text;
}

}  // namespace

StatusOr<std::string> CreateRole(const IamCall& iam) {
  Role role;
  KEYHOLD_RETURN_IF_ERROR(RefuseUnsupported(iam));
  KEYHOLD_ASSIGN_OR_RETURN(role.name, Name(iam, "RoleName", kMaxRoleName));
  KEYHOLD_ASSIGN_OR_RETURN(role.path, Path(iam));
  KEYHOLD_RETURN_IF_ERROR(Authorize(iam, RoleArn(iam.account, role.path, role.name)));
  KEYHOLD_ASSIGN_OR_RETURN(role.trust_policy, TrustPolicy(iam, "AssumeRolePolicyDocument"));
  if (iam.call.identities.FindRole(iam.account, role.name).ok()) {
    return AwsError("EntityAlreadyExists", absl::StrCat("Role with name ", role.name, " already exists."));
  }
  const std::string* description = FindParameter(iam.parameters, "Description");
  const std::string* seconds = FindParameter(iam.parameters, "MaxSessionDuration");
  if (seconds != nullptr && (!absl::SimpleAtoi(*seconds, &role.max_session_seconds) ||
                             role.max_session_seconds < 3600 || role.max_session_seconds > 43200)) {
    return ValidationError("maxSessionDuration", "Member must have value from 3600 to 43200");
  }
  role.account = iam.account;
  role.role_id = NewUniqueId("AROA", iam.call.vault.random());
  role.description = description == nullptr ? "" : *description;
  role.created = iam.call.now;
  iam.call.identities.PutRole(role);
  return XmlTree("Role", RoleXml(role));
}

StatusOr<std::string> GetRole(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  return XmlTree("Role", RoleXml(role));
}

StatusOr<std::string> ListRoles(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string prefix, PathPrefix(iam));
  KEYHOLD_RETURN_IF_ERROR(Authorize(iam, RoleArn(iam.account, prefix, "")));
  ListItems items;
  for (const Role& role : iam.call.identities.ListRoles(iam.account)) {
    if (absl::StartsWith(role.path, prefix)) items.emplace_back(role.name, XmlTree("member", RoleXml(role)));
  }
  return ListXml(iam, "Roles", items);
}

StatusOr<std::string> UpdateAssumeRolePolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  KEYHOLD_ASSIGN_OR_RETURN(role.trust_policy, TrustPolicy(iam, "PolicyDocument"));
  iam.call.identities.PutRole(role);
  return std::string();
}

StatusOr<std::string> DeleteRole(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  if (!PoliciesOf(iam, role).List().empty()) {
    return AwsError("DeleteConflict", "Cannot delete entity, must delete policies first.");
  }
  iam.call.identities.DeleteRole(role.account, role.name);
  return std::string();
}

StatusOr<std::string> PutRolePolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  return PutPolicy(iam, PoliciesOf(iam, role), {"role", role.name, kMaxRolePolicies});
}

StatusOr<std::string> GetRolePolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string policy, GetPolicy(iam, PoliciesOf(iam, role), "role"));
  return XmlText("RoleName", role.name) + policy;
}

StatusOr<std::string> ListRolePolicies(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  return ListPolicies(iam, PoliciesOf(iam, role));
}

StatusOr<std::string> DeleteRolePolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  return DeletePolicy(iam, PoliciesOf(iam, role), "role");
}

}  // namespace keyhold::localcloud::aws
