#include "localcloud/aws/sts.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "localcloud/aws/access.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/query.h"
#include "localcloud/aws/session_token.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr int kMinSessionSeconds = 900;
constexpr int kDefaultSessionSeconds = 3600;

std::string GetCallerIdentity(const Call& call) {
  return XmlText("Arn", call.principal.arn) + XmlText("UserId", call.principal.user_id) +
         XmlText("Account", call.principal.account);
}

bool IsSessionName(const std::string& name) {
  return name.size() >= 2 && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) ||
                  absl::string_view("_+=,.@-").find(static_cast<char>(c)) != absl::string_view::npos;
         });
}

StatusOr<int> Duration(const Parameters& parameters, const Role& role) {
  const std::string* text = FindParameter(parameters, "DurationSeconds");
  if (text == nullptr) return kDefaultSessionSeconds;
  int seconds = 0;
  if (!absl::SimpleAtoi(*text, &seconds) || seconds < kMinSessionSeconds) {
    return ValidationError("durationSeconds", absl::StrCat("Member must have value greater than or equal to ",
                                                           kMinSessionSeconds));
  }
  if (seconds <= role.max_session_seconds) return seconds;
  return AwsError("ValidationException",
                  "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
}

// A role that does not exist and one that does not trust the caller are told apart for nobody.
Status NotAuthorized(const Call& call, const std::string& role_arn) {
  return AwsError("AccessDeniedException", absl::StrCat("User: ", call.principal.arn,
                                                        " is not authorized to perform: sts:AssumeRole on "
                                                        "resource: ",
                                                        role_arn));
}

StatusOr<Role> TrustedRole(Call& call, const std::string& role_arn, const std::string& session_name,
                           const std::string* external_id) {
  auto arn = ParseArn(role_arn);
  if (!arn.ok() || arn->service != "iam" || !absl::StartsWith(arn->resource, "role/")) {
    return AwsError("ValidationException", absl::StrCat(role_arn, " is invalid"));
  }
  std::vector<std::string> parts = absl::StrSplit(arn->resource, '/');
  auto role = call.identities.FindRole(arn->account, parts.back());
  if (!role.ok() || RoleArn(role->account, role->path, role->name) != role_arn) {
    return NotAuthorized(call, role_arn);
  }
  PolicyRequest request{call.principal, "sts:AssumeRole", role_arn, {}};
  request.context["aws:principalarn"] = {call.principal.policy_arn()};
  request.context["aws:principalaccount"] = {call.principal.account};
  request.context["aws:sourceip"] = {call.record.source};
  request.context["aws:securetransport"] = {"true"};
  request.context["sts:rolesessionname"] = {session_name};
  if (external_id != nullptr) request.context["sts:externalid"] = {*external_id};
  Status allowed = CheckAccess({std::move(request), role->account, role->trust_policy, PolicyKind::kTrust});
  if (AwsErrorType(allowed) == "AccessDeniedException") return NotAuthorized(call, role_arn);
  KEYHOLD_RETURN_IF_ERROR(allowed);
  return role;
}

StatusOr<std::string> AssumeRole(Call& call, const Parameters& parameters) {
  KEYHOLD_ASSIGN_OR_RETURN(std::string role_arn, RequiredParameter(parameters, "RoleArn", 2048));
  KEYHOLD_ASSIGN_OR_RETURN(std::string session_name, RequiredParameter(parameters, "RoleSessionName", 64));
  call.record.key = role_arn;
  if (!IsSessionName(session_name)) {
    return ValidationError("roleSessionName", "Member must satisfy regular expression pattern: [\\w+=,.@-]*");
  }
  if (FindParameter(parameters, "Policy") != nullptr) {
    return AwsError("UnsupportedOperationException", "The local cloud has no session policies.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(
      Role role, TrustedRole(call, role_arn, session_name, FindParameter(parameters, "ExternalId")));
  KEYHOLD_ASSIGN_OR_RETURN(int seconds, Duration(parameters, role));
  crypto::Random& random = call.vault.random();
  Session session{NewUniqueId("ASIA", random),
                  NewSecretAccessKey(random),
                  role.account,
                  role.name,
                  role.role_id,
                  session_name,
                  call.now + absl::Seconds(seconds)};
  std::string credentials = XmlText("AccessKeyId", session.access_key_id) +
                            XmlText("SecretAccessKey", session.secret_access_key.ExposeText()) +
                            XmlText("SessionToken", SealSession(call.vault, session)) +
                            XmlText("Expiration", XmlTime(absl::ToUnixSeconds(session.expires)));
  std::string user = XmlText("AssumedRoleId", role.role_id + ":" + session_name) +
                     XmlText("Arn", AssumedRoleArn(role.account, role.name, session_name));
  return XmlTree("AssumedRoleUser", user) + XmlTree("Credentials", credentials);
}

}  // namespace

StatusOr<std::string> ServeSts(Call& call, const std::string& action, const Parameters& parameters) {
  if (action == "GetCallerIdentity") return GetCallerIdentity(call);
  if (action == "AssumeRole") return AssumeRole(call, parameters);
  return AwsError("UnknownOperationException",
                  absl::StrCat("Could not find operation ", action.substr(0, 64), " for version 2011-06-15"));
}

}  // namespace keyhold::localcloud::aws
