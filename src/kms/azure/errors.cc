#include "kms/azure/errors.h"

#include "absl/strings/match.h"
#include "kms/refusal.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::azure {
namespace {

// Looked up by the inner code first: "Forbidden" alone says little.
constexpr ErrorRow kVaultCodes[] = {
    // The customer's word: these lock a node.
    {"AccessDenied", Cause::kKmsDenied},
    {"ForbiddenByRbac", Cause::kKmsDenied},
    {"ForbiddenByPolicy", Cause::kKmsDenied},
    {"ForbiddenByFirewall", Cause::kKmsDenied},
    {"ForbiddenByConnection", Cause::kKmsDenied},
    {"KeyDisabled", Cause::kKmsDisabled},
    {"KeyExpired", Cause::kKmsDisabled},
    {"KeyNotYetValid", Cause::kKmsDisabled},
    {"ObjectIsDeletedButRecoverable", Cause::kKmsPendingDeletion},
    {"ObjectIsBeingDeleted", Cause::kKmsPendingDeletion},
    {"KeyNotFound", Cause::kKmsKeyNotFound},
    {"Forbidden", Cause::kKmsDenied},

    {"Unauthorized", Cause::kKmsBadCredentials},
    {"Throttled", Cause::kKmsThrottled},
    {"TooManyRequests", Cause::kKmsThrottled},

    // A change of the key that is under way, and what Azure says may be tried again.
    {"Conflict", Cause::kKmsUnreachable},
    {"ObjectIsBeingRecovered", Cause::kKmsUnreachable},
    {"InternalServerError", Cause::kKmsUnreachable},
    {"ServiceUnavailable", Cause::kKmsUnreachable},
    {"RequestTimeout", Cause::kKmsUnreachable},
};

constexpr ErrorRow kLoginCodes[] = {
    // The customer removed, or disabled, our application in their tenant.
    {"AADSTS700016", Cause::kKmsDenied},
    {"AADSTS7000112", Cause::kKmsDenied},
    {"AADSTS7000229", Cause::kKmsDenied},
    {"AADSTS50196", Cause::kKmsThrottled},
    {"AADSTS90033", Cause::kKmsUnreachable},
    {"temporarily_unavailable", Cause::kKmsUnreachable},
    {"server_error", Cause::kKmsUnreachable},
    {"invalid_client", Cause::kKmsBadCredentials},
    {"invalid_grant", Cause::kKmsBadCredentials},
    {"invalid_request", Cause::kKmsBadCredentials},
    {"invalid_resource", Cause::kKmsBadCredentials},
    {"invalid_scope", Cause::kKmsBadCredentials},
    {"unauthorized_client", Cause::kKmsBadCredentials},
    {"identity_not_found", Cause::kKmsBadCredentials},
};

Cause ByHttpStatus(int status) { return status == 408 ? Cause::kKmsUnreachable : CauseOfHttpStatus(status); }

std::string TextOr(const SecretJson& object, const char* name) {
  const auto text = StringOf(object, name);
  return text.ok() ? std::string(*text) : std::string();
}

// "oid=33333333-..." of Azure's message: whom it refused.
std::string ObjectIdIn(std::string_view message) {
  constexpr std::string_view kName = "oid=";
  const size_t start = message.find(kName);
  if (start == std::string_view::npos) return "PRINCIPAL-OBJECT-ID";
  const std::string_view rest = message.substr(start + kName.size());
  return Printable(rest.substr(0, rest.find(';')), 64);
}

std::string DeniedAdvice(const Failure& failure, const Attempt& attempt) {
  if (failure.inner == "ForbiddenByFirewall" || failure.inner == "ForbiddenByConnection") {
    return "; let the vault's network rules admit the machines that Keyhold runs on";
  }
  if (attempt.vault.empty()) {
    return "; let the tenant have Keyhold's enterprise application again (admin consent for its client id)";
  }
  const std::string object_id = ObjectIdIn(failure.message);
  if (failure.inner == "ForbiddenByRbac") {
    return StrCat(
        {"; grant it on this key: az role assignment create --role \"Key Vault Crypto Service Encryption "
         "User\" --assignee-object-id ",
         object_id, " --assignee-principal-type ServicePrincipal --scope KEY-RESOURCE-ID"});
  }
  return StrCat({"; grant it: ", GrantCommand(attempt.vault, object_id)});
}

std::string Advice(Cause cause, const Failure& failure, const Attempt& attempt) {
  switch (cause) {
    case Cause::kKmsDenied:
      return DeniedAdvice(failure, attempt);
    case Cause::kKmsBadCredentials:
      return "; check the Azure credentials that Keyhold runs with, their tenant, and this machine's clock";
    case Cause::kKmsDisabled:
      return "; enable the key again (az keyvault key set-attributes --enabled true)";
    case Cause::kKmsPendingDeletion:
      return "; recover it (az keyvault key recover), or all data under it will be lost for good";
    case Cause::kKmsKeyNotFound:
      return "; check the key's URI: if the key was purged, data under it cannot be recovered";
    case Cause::kKmsWrongKey:
      return "; use an RSA key of 2048 bits or more with the operations wrapKey and unwrapKey";
    case Cause::kKmsCorrupt:
      return "; the wrapped key is damaged, or was wrapped by another key or version";
    default:
      return "";
  }
}

}  // namespace

Failure ParseVaultFailure(const HttpResponse& response) {
  Failure failure{response.status, "", "", ""};
  const auto body = ParseSecretJson(response.body.Expose(), "Azure Key Vault");
  if (!body.ok()) return failure;
  const auto error = body->find("error");
  if (error == body->end() || !error->is_object()) return failure;
  failure.code = TextOr(*error, "code");
  failure.message = TextOr(*error, "message");
  for (const char* name : {"innererror", "innerError"}) {
    const auto inner = error->find(name);
    if (inner != error->end() && inner->is_object()) failure.inner = TextOr(*inner, "code");
  }
  return failure;
}

Failure ParseLoginFailure(const HttpResponse& response) {
  Failure failure{response.status, "", "", ""};
  const auto body = ParseSecretJson(response.body.Expose(), "Microsoft Entra ID");
  if (!body.ok()) return failure;
  failure.code = TextOr(*body, "error");
  failure.message = TextOr(*body, "error_description");
  // "AADSTS7000215: Invalid client secret ..."; its lines after the first are trace ids.
  if (failure.message.starts_with("AADSTS"))
    failure.inner = failure.message.substr(0, failure.message.find(':'));
  failure.message = failure.message.substr(0, failure.message.find_first_of("\r\n"));
  const size_t trace = failure.message.find(" Trace ID:");
  if (trace != std::string::npos) failure.message.resize(trace);
  return failure;
}

Cause CauseOfVaultFailure(const Failure& failure, std::string_view action) {
  if (const auto cause = CauseIn(kVaultCodes, failure.inner)) return *cause;
  // Some answers name the state in words alone.
  if (failure.code == "Forbidden" && absl::StrContains(failure.message, "on a disabled key")) {
    return Cause::kKmsDisabled;
  }
  if (const auto cause = CauseIn(kVaultCodes, failure.code)) return *cause;
  if (failure.code == "BadParameter") {
    return action == "unwrapKey" ? Cause::kKmsCorrupt : Cause::kKmsWrongKey;
  }
  return ByHttpStatus(failure.http_status);
}

Cause CauseOfLoginFailure(const Failure& failure) {
  if (const auto cause = CauseIn(kLoginCodes, failure.inner)) return *cause;
  if (failure.http_status == 429 || failure.http_status >= 500) return ByHttpStatus(failure.http_status);
  if (const auto cause = CauseIn(kLoginCodes, failure.code)) return *cause;
  return ByHttpStatus(failure.http_status);
}

Status ToStatus(const Failure& failure, const Attempt& attempt, Cause cause) {
  return kms::ToStatus({"Azure", attempt.action, attempt.resource, "", failure.http_status, failure.code,
                        failure.inner, failure.message, Advice(cause, failure, attempt)},
                       cause);
}

std::string GrantCommand(std::string_view vault, std::string_view object_id) {
  return StrCat({"az keyvault set-policy --name ", vault, " --object-id ", object_id,
                 " --key-permissions get wrapKey unwrapKey"});
}

}  // namespace keyhold::kms::azure
