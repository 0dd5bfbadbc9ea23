#include "kms/aws/errors.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "kms/refusal.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

constexpr ErrorRow kTypes[] = {
    // The customer's word: these lock a node.
    {"AccessDeniedException", Cause::kKmsDenied},
    {"AccessDenied", Cause::kKmsDenied},
    {"InvalidGrantTokenException", Cause::kKmsDenied},

    // Ours to repair: the customer did nothing.
    {"UnrecognizedClientException", Cause::kKmsBadCredentials},
    {"InvalidClientTokenId", Cause::kKmsBadCredentials},
    {"InvalidSignatureException", Cause::kKmsBadCredentials},
    {"SignatureDoesNotMatch", Cause::kKmsBadCredentials},
    {"IncompleteSignature", Cause::kKmsBadCredentials},
    {"IncompleteSignatureException", Cause::kKmsBadCredentials},
    {"ExpiredTokenException", Cause::kKmsBadCredentials},
    {"ExpiredToken", Cause::kKmsBadCredentials},
    {"RequestExpired", Cause::kKmsBadCredentials},
    {"MissingAuthenticationToken", Cause::kKmsBadCredentials},
    {"MissingAuthenticationTokenException", Cause::kKmsBadCredentials},
    {"OptInRequired", Cause::kKmsBadCredentials},
    {"NotAuthorized", Cause::kKmsBadCredentials},
    {"InvalidIdentityToken", Cause::kKmsBadCredentials},
    {"IDPRejectedClaim", Cause::kKmsBadCredentials},

    {"DisabledException", Cause::kKmsDisabled},
    {"KMSInvalidStateException", Cause::kKmsDisabled},
    {"NotFoundException", Cause::kKmsKeyNotFound},

    // What a request of ours is never refused for, unless the key is of the wrong kind.
    {"InvalidKeyUsageException", Cause::kKmsWrongKey},
    {"InvalidArnException", Cause::kKmsWrongKey},
    {"UnsupportedOperationException", Cause::kKmsWrongKey},
    {"ValidationException", Cause::kKmsWrongKey},
    {"ValidationError", Cause::kKmsWrongKey},
    {"RegionDisabledException", Cause::kKmsWrongKey},

    {"ThrottlingException", Cause::kKmsThrottled},
    {"Throttling", Cause::kKmsThrottled},
    {"ThrottledException", Cause::kKmsThrottled},
    {"RequestLimitExceeded", Cause::kKmsThrottled},
    {"TooManyRequestsException", Cause::kKmsThrottled},
    {"LimitExceededException", Cause::kKmsThrottled},

    // AWS says of these that the request may be tried again.
    {"KMSInternalException", Cause::kKmsUnreachable},
    {"DependencyTimeoutException", Cause::kKmsUnreachable},
    {"KeyUnavailableException", Cause::kKmsUnreachable},
    {"IDPCommunicationError", Cause::kKmsUnreachable},
    {"InternalFailure", Cause::kKmsUnreachable},
    {"InternalError", Cause::kKmsUnreachable},
    {"ServiceUnavailable", Cause::kKmsUnreachable},
    {"ServiceUnavailableException", Cause::kKmsUnreachable},

    {"InvalidCiphertextException", Cause::kKmsCorrupt},
    {"IncorrectKeyException", Cause::kKmsCorrupt},
};

std::string DeniedAdvice(const Attempt& attempt) {
  if (attempt.action == "sts:AssumeRoleWithWebIdentity") {
    return "; let the role's trust policy allow that to the identity provider whose token this is";
  }
  if (!attempt.action.starts_with("kms:")) {
    return "; let the role's trust policy allow sts:AssumeRole to the platform's principal with the "
           "organization's id as sts:ExternalId";
  }
  return StrCat({"; add this statement to the key's policy: ", PolicyStatement(attempt.principal)});
}

std::string Advice(Cause cause, const Attempt& attempt) {
  switch (cause) {
    case Cause::kKmsDenied:
      return DeniedAdvice(attempt);
    case Cause::kKmsBadCredentials:
      return "; check the AWS credentials that Keyhold runs with, and this machine's clock";
    case Cause::kKmsDisabled:
      return "; enable the key again";
    case Cause::kKmsPendingDeletion:
      return "; cancel its deletion and enable it, or all data under it will be lost for good";
    case Cause::kKmsKeyNotFound:
      return "; check the key's ARN: if the key was deleted, data under it cannot be recovered";
    case Cause::kKmsWrongKey:
      return "; use a symmetric encryption key (ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT) of the cluster's region";
    case Cause::kKmsCorrupt:
      return "; the wrapped key is damaged, or was wrapped by another key or for another store";
    default:
      return "";
  }
}

}  // namespace

Cause CauseOfFailure(const Failure& failure) {
  if (failure.type == "KMSInvalidStateException" &&
      absl::StrContains(absl::AsciiStrToLower(failure.message), "pending deletion")) {
    return Cause::kKmsPendingDeletion;
  }
  return CauseIn(kTypes, failure.type).value_or(CauseOfHttpStatus(failure.http_status));
}

Status ToStatus(const Failure& failure, const Attempt& attempt, Cause cause) {
  return kms::ToStatus({"AWS", attempt.action, attempt.resource, attempt.principal, failure.http_status,
                        failure.type, "", failure.message, Advice(cause, attempt)},
                       cause);
}

Cause CauseOfKeyState(std::string_view state) {
  if (state == "PendingDeletion" || state == "PendingReplicaDeletion") return Cause::kKmsPendingDeletion;
  if (state == "Creating" || state == "Updating") return Cause::kKmsUnreachable;
  // Disabled; PendingImport and Unavailable: the customer took key material or key store away.
  return Cause::kKmsDisabled;
}

std::string PolicyStatement(std::string_view principal) {
  const nlohmann::ordered_json statement = {
      {"Effect", "Allow"},
      {"Principal", {{"AWS", std::string(principal)}}},
      {"Action", {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"}},
      {"Resource", "*"}};
  return statement.dump();
}

}  // namespace keyhold::kms::aws
