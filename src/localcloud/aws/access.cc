#include "localcloud/aws/access.h"

#include "absl/strings/str_cat.h"
#include "localcloud/aws/error.h"

namespace keyhold::localcloud::aws {
namespace {

Status Denied(const PolicyRequest& request, std::string_view why) {
  return AwsError("AccessDeniedException",
                  absl::StrCat("User: ", request.principal.arn, " is not authorized to perform: ",
                               request.action, " on resource: ", request.resource, " ", std::string(why)));
}

Status NoPolicyAllows(const PolicyRequest& request, std::string_view kind) {
  return Denied(request, absl::StrCat("because no ", std::string(kind), " policy allows the ", request.action,
                                      " action"));
}

StatusOr<Decision> IdentityDecision(const PolicyRequest& request) {
  Decision best = Decision::kNothing;
  for (const std::string& text : request.principal.identity_policies) {
    KEYHOLD_ASSIGN_OR_RETURN(Policy policy, Policy::Parse(text, PolicyKind::kIdentity));
    best = std::max(best, policy.Evaluate(request));
  }
  return best;
}

}  // namespace

Status CheckAccess(const AccessQuestion& question) {
  const PolicyRequest& request = question.request;
  KEYHOLD_ASSIGN_OR_RETURN(Decision identity, IdentityDecision(request));
  Decision resource = Decision::kAllowAccount;
  if (!question.resource_policy.empty()) {
    KEYHOLD_ASSIGN_OR_RETURN(Policy policy,
                             Policy::Parse(question.resource_policy, question.resource_policy_kind));
    resource = policy.Evaluate(request);
  }
  if (identity == Decision::kDeny)
    return Denied(request, "with an explicit deny in an identity-based policy");
  if (resource == Decision::kDeny) return Denied(request, "with an explicit deny in a resource-based policy");
  if (resource == Decision::kNothing) return NoPolicyAllows(request, "resource-based");
  bool same_account = request.principal.account == question.resource_account;
  if (same_account && resource == Decision::kAllow) return OkStatus();
  return identity == Decision::kAllow ? OkStatus() : NoPolicyAllows(request, "identity-based");
}

}  // namespace keyhold::localcloud::aws
