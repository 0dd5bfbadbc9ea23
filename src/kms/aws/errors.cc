#include "kms/aws/errors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

struct Row {
  std::string_view type;
  Cause cause;
};

constexpr Row kTypes[] = {
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
    {"InternalFailure", Cause::kKmsUnreachable},
    {"InternalError", Cause::kKmsUnreachable},
    {"ServiceUnavailable", Cause::kKmsUnreachable},
    {"ServiceUnavailableException", Cause::kKmsUnreachable},

    {"InvalidCiphertextException", Cause::kKmsCorrupt},
    {"IncorrectKeyException", Cause::kKmsCorrupt},
};

std::string DeniedAdvice(const Attempt& attempt) {
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
  const auto* row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                 [&](const Row& known) { return known.type == failure.type; });
  if (row != std::end(kTypes)) {
    const bool deletion = failure.type == "KMSInvalidStateException" &&
                          absl::StrContains(absl::AsciiStrToLower(failure.message), "pending deletion");
    return deletion ? Cause::kKmsPendingDeletion : row->cause;
  }
  if (failure.http_status == 429) return Cause::kKmsThrottled;
  return failure.http_status >= 500 ? Cause::kKmsUnreachable : Cause::kKmsCorrupt;
}

Status ToStatus(const Failure& failure, const Attempt& attempt, Cause cause) {
  std::string said = Printable(failure.message);
  if (!said.empty() && said.back() == '.') said.pop_back();
  const std::string type =
      failure.type.empty() ? absl::StrCat("HTTP ", failure.http_status) : Printable(failure.type, 80);
  const std::string advice = failure.type.empty() ? "" : Advice(cause, attempt);
  return Error(cause, StrCat({"AWS refused ", attempt.action, " on ", attempt.resource, " as ",
                              attempt.principal, ": ", type, said.empty() ? "" : ": ", said, advice}));
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
