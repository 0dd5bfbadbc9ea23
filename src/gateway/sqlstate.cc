#include "gateway/sqlstate.h"

#include "absl/strings/str_cat.h"

namespace keyhold::gateway {
namespace {

ErrorText FromLock(const LockReason& reason, std::string_view usual) {
  return {.sqlstate = std::string(reason.sqlstate.empty() ? usual : std::string_view(reason.sqlstate)),
          .message = reason.message,
          .detail = absl::StrCat("Cause: ", std::string(CauseName(reason.cause)), "."),
          .hint = reason.hint.empty() ? std::string(HintFor(reason.cause)) : reason.hint};
}

}  // namespace

std::string_view SqlState(Cause cause) {
  switch (cause) {
    case Cause::kInvalidArgument:
      return kProtocolViolation;
    case Cause::kUnauthenticated:
    case Cause::kPermissionDenied:
      return kInvalidAuthorization;
    case Cause::kResourceExhausted:
      return kTooManyConnections;
    case Cause::kUnimplemented:
      return kFeatureNotSupported;
    case Cause::kInternal:
      return kInternalError;
    default:
      return kCannotConnectNow;
  }
}

std::string_view HintFor(Cause cause) {
  switch (cause) {
    case Cause::kKmsDenied:
      return "Grant the cluster's principal its actions on the key again; the cluster then serves by itself.";
    case Cause::kKmsDisabled:
      return "Enable the key in its KMS; the cluster then serves by itself.";
    case Cause::kKmsPendingDeletion:
      return "Cancel the key's deletion and enable the key; the cluster then serves by itself.";
    case Cause::kKmsKeyNotFound:
      return "If the key was destroyed, the data cannot be recovered.";
    case Cause::kKmsThrottled:
    case Cause::kKmsUnreachable:
      return "Restore the way from the cluster to the KMS; the cluster then serves by itself.";
    case Cause::kUnavailable:
      return "Try again in a moment.";
    default:
      return "See the state of the cluster: ccloud cluster info.";
  }
}

ErrorText EndedBy(const LockReason& reason) { return FromLock(reason, kAdminShutdown); }

ErrorText RefusedBy(const LockReason& reason) { return FromLock(reason, kCannotConnectNow); }

}  // namespace keyhold::gateway
