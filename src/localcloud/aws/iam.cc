#include "localcloud/aws/iam.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "localcloud/aws/access.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/query.h"

namespace keyhold::localcloud::aws {
namespace {

// The quotas of docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
constexpr size_t kMaxRoleName = 64;
constexpr size_t kMaxTrustPolicy = 2048;
constexpr size_t kMaxRolePolicy = 10240;

struct IamCall {
  Call& call;
  const Parameters& parameters;
  const std::string& account;
};

StatusOr<std::string> Name(const IamCall& iam, std::string_view parameter, size_t max) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, RequiredParameter(iam.parameters, parameter, max));
  bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           absl::string_view("+=,.@_-").find(static_cast<char>(c)) != absl::string_view::npos;
  });
  if (plain) return name;
  return AwsError("ValidationException",
                  absl::StrCat("The specified value for ", std::string(parameter),
                               " is invalid. It must contain only alphanumeric characters "
                               "and/or the following: +=,.@_-"));
}

Status Authorize(const IamCall& iam, const std::string& resource) {
  iam.call.record.key = resource;
  PolicyRequest request{iam.call.principal, iam.call.record.action, resource, {}};
  return CheckAccess({std::move(request), iam.account, "", PolicyKind::kIdentity});
}

// The role that RoleName names, which the caller may work on.
StatusOr<Role> NamedRole(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, Name(iam, "RoleName", kMaxRoleName));
  auto role = iam.call.identities.FindRole(iam.account, name);
  std::string path = role.ok() ? role->path : "/";
  KEYHOLD_RETURN_IF_ERROR(Authorize(iam, RoleArn(iam.account, path, name)));
  return role;
}

std::string RoleXml(const Role& role) {
  return XmlText("Path", role.path) + XmlText("RoleName", role.name) + XmlText("RoleId", role.role_id) +
         XmlText("Arn", RoleArn(role.account, role.path, role.name)) +
         XmlText("CreateDate", XmlTime(absl::ToUnixSeconds(role.created))) +
         XmlText("AssumeRolePolicyDocument", PercentEncode(role.trust_policy)) +
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

StatusOr<std::string> CreateRole(const IamCall& iam) {
  Role role;
  KEYHOLD_ASSIGN_OR_RETURN(role.name, Name(iam, "RoleName", kMaxRoleName));
  const std::string* path = FindParameter(iam.parameters, "Path");
  role.path = path == nullptr ? "/" : *path;
  if (role.path.front() != '/' || role.path.back() != '/' || role.path.size() > 512) {
    return AwsError("ValidationException",
                    "The specified value for path is invalid. It must begin and end with /");
  }
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
  KEYHOLD_RETURN_IF_ERROR(Authorize(iam, RoleArn(iam.account, "/", "")));
  std::string members;
  for (const Role& role : iam.call.identities.ListRoles(iam.account))
    members += XmlTree("member", RoleXml(role));
  return XmlText("IsTruncated", "false") + XmlTree("Roles", members);
}

StatusOr<std::string> UpdateAssumeRolePolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  KEYHOLD_ASSIGN_OR_RETURN(role.trust_policy, TrustPolicy(iam, "PolicyDocument"));
  iam.call.identities.PutRole(role);
  return std::string();
}

StatusOr<std::string> DeleteRole(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  if (!iam.call.identities.RolePolicies(role.account, role.name).empty()) {
    return AwsError("DeleteConflict", "Cannot delete entity, must delete policies first.");
  }
  iam.call.identities.DeleteRole(role.account, role.name);
  return std::string();
}

StatusOr<std::string> PutRolePolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, Name(iam, "PolicyName", 128));
  KEYHOLD_ASSIGN_OR_RETURN(std::string document, RequiredParameter(iam.parameters, "PolicyDocument", 131072));
  if (document.size() > kMaxRolePolicy) {
    return AwsError("LimitExceededException",
                    absl::StrCat("Maximum policy size of 10240 bytes exceeded for role ", role.name));
  }
  KEYHOLD_RETURN_IF_ERROR(Policy::Parse(document, PolicyKind::kIdentity).status());
  iam.call.identities.PutRolePolicy(role.account, role.name, name, document);
  return std::string();
}

Status NoRolePolicy(const std::string& name) {
  return AwsError("NoSuchEntity", absl::StrCat("The role policy with name ", name, " cannot be found."));
}

StatusOr<std::string> GetRolePolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, Name(iam, "PolicyName", 128));
  for (const auto& [policy, document] : iam.call.identities.RolePolicies(role.account, role.name)) {
    if (policy != name) continue;
    return XmlText("RoleName", role.name) + XmlText("PolicyName", name) +
           XmlText("PolicyDocument", PercentEncode(document));
  }
  return NoRolePolicy(name);
}

StatusOr<std::string> ListRolePolicies(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  std::string members;
  for (const auto& [name, document] : iam.call.identities.RolePolicies(role.account, role.name)) {
    members += XmlText("member", name);
  }
  return XmlTree("PolicyNames", members) + XmlText("IsTruncated", "false");
}

StatusOr<std::string> DeleteRolePolicy(const IamCall& iam) {
  KEYHOLD_ASSIGN_OR_RETURN(Role role, NamedRole(iam));
  KEYHOLD_ASSIGN_OR_RETURN(std::string name, Name(iam, "PolicyName", 128));
  if (!iam.call.identities.DeleteRolePolicy(role.account, role.name, name)) return NoRolePolicy(name);
  return std::string();
}

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
