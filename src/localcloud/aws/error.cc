#include "localcloud/aws/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kTypeUrl[] = "keyhold.localcloud/aws-error-type";

struct Entry {
  std::string_view type;
  Cause cause;
  std::string_view query_code;  // "" where it is `type` itself
  int query_status;
  int json_status = 400;
};

// From the services' pages of common errors and the operations' own:
// docs.aws.amazon.com/kms/latest/APIReference /CommonErrors.html,
// .../STS/latest/APIReference/CommonErrors.html, .../IAM/latest/APIReference/CommonErrors.html.
constexpr Entry kEntries[] = {
    {"MissingAuthenticationTokenException", Cause::kUnauthenticated, "MissingAuthenticationToken", 403},
    {"IncompleteSignatureException", Cause::kUnauthenticated, "IncompleteSignature", 400},
    {"InvalidSignatureException", Cause::kUnauthenticated, "SignatureDoesNotMatch", 403},
    {"UnrecognizedClientException", Cause::kUnauthenticated, "InvalidClientTokenId", 403},
    {"ExpiredTokenException", Cause::kUnauthenticated, "ExpiredToken", 403},
    {"AccessDeniedException", Cause::kPermissionDenied, "AccessDenied", 403},
    {"ValidationException", Cause::kInvalidArgument, "ValidationError", 400},
    {"SerializationException", Cause::kInvalidArgument, "MalformedInput", 400},
    {"UnknownOperationException", Cause::kUnimplemented, "InvalidAction", 400},
    {"UnsupportedOperationException", Cause::kUnimplemented, "", 400},
    {"NotFoundException", Cause::kNotFound, "", 404},
    {"NoSuchEntity", Cause::kNotFound, "", 404, 404},
    {"AlreadyExistsException", Cause::kAlreadyExists, "", 409},
    {"EntityAlreadyExists", Cause::kAlreadyExists, "", 409, 409},
    {"DeleteConflict", Cause::kFailedPrecondition, "", 409, 409},
    {"LimitExceededException", Cause::kResourceExhausted, "LimitExceeded", 409},
    {"MalformedPolicyDocumentException", Cause::kInvalidArgument, "MalformedPolicyDocument", 400},
    {"DisabledException", Cause::kKmsDisabled, "", 400},
    {"KMSInvalidStateException", Cause::kFailedPrecondition, "", 400},
    {"ThrottlingException", Cause::kKmsThrottled, "Throttling", 400},
    {"DependencyTimeoutException", Cause::kUnavailable, "ServiceUnavailable", 503, 503},
    {"KMSInternalException", Cause::kInternal, "InternalFailure", 500, 500},
};

const Entry* Find(std::string_view type) {
  for (const Entry& entry : kEntries) {
    if (entry.type == type) return &entry;
  }
  return nullptr;
}

}  // namespace

Status AwsError(std::string_view type, std::string_view message) {
  const Entry* entry = Find(type);
  Status status = Error(entry != nullptr ? entry->cause : Cause::kInvalidArgument, message);
  status.SetPayload(kTypeUrl, absl::Cord(absl::string_view(type.data(), type.size())));
  return status;
}

std::string AwsErrorType(const Status& status) {
  auto payload = status.GetPayload(kTypeUrl);
  return payload ? std::string(*payload) : std::string();
}

Status ValidationError(std::string_view field, std::string_view constraint) {
  return AwsError("ValidationException",
                  absl::StrCat("1 validation error detected: Value at '", std::string(field),
                               "' failed to satisfy constraint: ", std::string(constraint)));
}

std::string QueryErrorCode(std::string_view type) {
  const Entry* entry = Find(type);
  return std::string(entry != nullptr && !entry->query_code.empty() ? entry->query_code : type);
}

int JsonHttpStatus(std::string_view type) {
  const Entry* entry = Find(type);
  return entry != nullptr ? entry->json_status : 400;
}

int QueryHttpStatus(std::string_view type) {
  const Entry* entry = Find(type);
  return entry != nullptr ? entry->query_status : 400;
}

}  // namespace keyhold::localcloud::aws
