#include "localcloud/aws/authenticate.h"

#include "localcloud/aws/arn.h"
#include "localcloud/aws/error.h"
#include "localcloud/aws/session_token.h"
#include "localcloud/aws/sigv4.h"

namespace keyhold::localcloud::aws {
namespace {

StatusOr<Credentials> FromSession(Session session, IdentityStore& identities) {
  auto role = identities.FindRole(session.account, session.role);
  if (!role.ok() || role->role_id != session.role_id) {
    return AwsError("UnrecognizedClientException", "The security token included in the request is invalid.");
  }
  Principal principal;
  principal.account = role->account;
  principal.arn = AssumedRoleArn(role->account, role->name, session.session_name);
  principal.role_arn = RoleArn(role->account, role->path, role->name);
  principal.user_id = role->role_id + ":" + session.session_name;
  principal.identity_policies = identities.PoliciesOf(PolicyHolder::kRole, role->account, role->name);
  return Credentials{std::move(principal), std::move(session.secret_access_key)};
}

}  // namespace

StatusOr<Principal> Authenticate(const HttpRequest& request, const Endpoint& endpoint,
                                 IdentityStore& identities, const Vault& vault, absl::Time now) {
  const std::string* header = request.Header("authorization");
  if (header == nullptr) {
    return AwsError("MissingAuthenticationTokenException", "Missing Authentication Token");
  }
  KEYHOLD_ASSIGN_OR_RETURN(Authorization authorization, ParseAuthorization(*header));
  const std::string* token = request.Header("x-amz-security-token");
  if (token == nullptr) {
    KEYHOLD_ASSIGN_OR_RETURN(Credentials credentials, identities.FindAccessKey(authorization.access_key_id));
    KEYHOLD_RETURN_IF_ERROR(
        VerifySignature(request, authorization, credentials.secret_access_key.Expose(), endpoint, now));
    return std::move(credentials.principal);
  }
  KEYHOLD_ASSIGN_OR_RETURN(Session session, OpenSession(vault, *token, authorization.access_key_id));
  absl::Time expires = session.expires;
  KEYHOLD_ASSIGN_OR_RETURN(Credentials credentials, FromSession(std::move(session), identities));
  KEYHOLD_RETURN_IF_ERROR(
      VerifySignature(request, authorization, credentials.secret_access_key.Expose(), endpoint, now));
  if (now >= expires) {
    return AwsError("ExpiredTokenException", "The security token included in the request is expired");
  }
  return std::move(credentials.principal);
}

}  // namespace keyhold::localcloud::aws
