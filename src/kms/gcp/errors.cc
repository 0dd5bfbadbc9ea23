#include "kms/gcp/errors.h"

#include "absl/strings/match.h"
#include "kms/refusal.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::gcp {
namespace {

// ErrorInfo's reasons that are closer than the status beside them. google/api/error_reason.proto.
constexpr ErrorRow kReasons[] = {
    {"CONSUMER_INVALID", Cause::kKmsBadCredentials},  // the caller's own project
    {"CONSUMER_SUSPENDED", Cause::kKmsBadCredentials},
    {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", Cause::kKmsBadCredentials},
    {"RATE_LIMIT_EXCEEDED", Cause::kKmsThrottled},
    {"RESOURCE_QUOTA_EXCEEDED", Cause::kKmsThrottled},
};

// google/rpc/code.proto, and RFC 6749's errors of token endpoints.
constexpr ErrorRow kStatuses[] = {
    {"PERMISSION_DENIED", Cause::kKmsDenied},
    {"NOT_FOUND", Cause::kKmsKeyNotFound},
    {"UNAUTHENTICATED", Cause::kKmsBadCredentials},
    {"INVALID_ARGUMENT", Cause::kKmsWrongKey},
    {"OUT_OF_RANGE", Cause::kKmsWrongKey},
    {"UNIMPLEMENTED", Cause::kKmsWrongKey},
    {"RESOURCE_EXHAUSTED", Cause::kKmsThrottled},
    // Without a version's state it may be an external key manager's trouble: not the customer's word yet.
    {"FAILED_PRECONDITION", Cause::kKmsUnreachable},
    {"ABORTED", Cause::kKmsUnreachable},
    {"CANCELLED", Cause::kKmsUnreachable},
    {"DEADLINE_EXCEEDED", Cause::kKmsUnreachable},
    {"INTERNAL", Cause::kKmsUnreachable},
    {"UNAVAILABLE", Cause::kKmsUnreachable},
    {"UNKNOWN", Cause::kKmsUnreachable},

    {"invalid_grant", Cause::kKmsBadCredentials},
    {"invalid_client", Cause::kKmsBadCredentials},
    {"invalid_request", Cause::kKmsBadCredentials},
    {"invalid_scope", Cause::kKmsBadCredentials},
    {"invalid_target", Cause::kKmsBadCredentials},
    {"unauthorized_client", Cause::kKmsBadCredentials},
    {"unsupported_grant_type", Cause::kKmsBadCredentials},
    {"access_denied", Cause::kKmsBadCredentials},
    {"temporarily_unavailable", Cause::kKmsUnreachable},
};

constexpr ErrorRow kStates[] = {
    {"DISABLED", Cause::kKmsDisabled},
    {"DESTROY_SCHEDULED", Cause::kKmsPendingDeletion},
    {"PENDING_EXTERNAL_DESTRUCTION", Cause::kKmsPendingDeletion},
    {"DESTROYED", Cause::kKmsKeyNotFound},
    {"PENDING_GENERATION", Cause::kKmsUnreachable},  // made in a moment
};

// "... is not enabled, current state is: DISABLED."
std::string StateIn(std::string_view message) {
  constexpr std::string_view kBefore = "current state is: ";
  const size_t at = message.find(kBefore);
  if (at == std::string_view::npos) return "";
  message.remove_prefix(at + kBefore.size());
  return std::string(message.substr(0, message.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")));
}

// One of google.rpc.Status's details.
void ReadDetail(const SecretJson& detail, Failure& failure) {
  if (!detail.is_object()) return;
  if (failure.reason.empty()) failure.reason = FieldText(detail, "reason");
  const auto violations = detail.find("violations");
  if (violations == detail.end() || !violations->is_array() || violations->empty()) return;
  const SecretJson& first = violations->front();
  std::string type = first.is_object() ? FieldText(first, "type") : "";
  if (failure.state.empty() && type.starts_with("KEY_")) failure.state = type.substr(4);
}

std::string Advice(Cause cause, const Attempt& attempt) {
  switch (cause) {
    case Cause::kKmsDenied:
      return "; grant it: " + attempt.grant;
    case Cause::kKmsBadCredentials:
      return "; check the Google credentials that Keyhold runs with, and this machine's clock";
    case Cause::kKmsDisabled:
      return "; enable that version of the key again";
    case Cause::kKmsPendingDeletion:
      return "; restore and enable that version of the key before it is destroyed, or all data under it will "
             "be lost for good";
    case Cause::kKmsKeyNotFound:
      return "; check the key's name: if the version that wrapped the data was destroyed, the data cannot be "
             "recovered";
    case Cause::kKmsWrongKey:
      return "; use a key with the purpose ENCRYPT_DECRYPT in the cluster's region";
    case Cause::kKmsCorrupt:
      return "; the wrapped key is damaged, or was wrapped by another key or for another store";
    default:
      return "";
  }
}

// What a status alone does not say.
Cause CauseOfMessage(const Failure& failure, Cause cause) {
  const std::string& message = failure.message;
  if (failure.status == "INVALID_ARGUMENT") {
    if (absl::StrContains(message, "Decryption failed")) return Cause::kKmsCorrupt;
    // Damaged on its way: Google asks for another try.
    if (absl::StrContains(message, "did not match the data in field")) return Cause::kKmsUnreachable;
  }
  if (failure.status == "FAILED_PRECONDITION") {
    if (absl::StrContains(message, "purpose")) return Cause::kKmsWrongKey;
    if (absl::StrContains(message, "primary")) return Cause::kKmsDisabled;
  }
  return cause;
}

}  // namespace

Failure ParseFailure(const HttpResponse& response) {
  Failure failure;
  failure.http_status = response.status;
  const auto body = ParseSecretJson(response.body.Expose(), "Google");
  if (!body.ok()) return failure;
  const auto error = body->find("error");
  if (error == body->end()) return failure;
  if (error->is_string()) {
    failure.status = FieldText(*body, "error");
    failure.message = FieldText(*body, "error_description");
    return failure;
  }
  if (!error->is_object()) return failure;
  failure.status = FieldText(*error, "status");
  failure.message = FieldText(*error, "message");
  failure.state = StateIn(failure.message);
  const auto details = error->find("details");
  if (details == error->end() || !details->is_array()) return failure;
  for (const SecretJson& detail : *details) ReadDetail(detail, failure);
  return failure;
}

Cause CauseOfFailure(const Failure& failure) {
  if (failure.status == "FAILED_PRECONDITION" && !failure.state.empty()) {
    return CauseOfVersionState(failure.state);
  }
  if (const auto cause = CauseIn(kReasons, failure.reason)) return *cause;
  if (const auto cause = CauseIn(kStatuses, failure.status)) return CauseOfMessage(failure, *cause);
  return CauseOfHttpStatus(failure.http_status);
}

Status ToStatus(const Failure& failure, const Attempt& attempt, Cause cause) {
  return kms::ToStatus({"Google", attempt.action, attempt.resource, attempt.principal, failure.http_status,
                        failure.status, "", failure.message, Advice(cause, attempt)},
                       cause);
}

Cause CauseOfVersionState(std::string_view state) {
  // PENDING_IMPORT, IMPORT_FAILED, GENERATION_FAILED: the customer's to repair, and no use until then.
  return CauseIn(kStates, state).value_or(Cause::kKmsDisabled);
}

}  // namespace keyhold::kms::gcp
