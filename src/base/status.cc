#include "base/status.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace keyhold {
namespace {

constexpr absl::string_view kCausePayload = "keyhold/cause";
constexpr absl::string_view kErrnoPayload = "keyhold/errno";

struct CauseRow {
  Cause cause;
  std::string_view name;
  absl::StatusCode code;
};

constexpr std::array kCauses = {
    CauseRow{Cause::kInternal, "INTERNAL", absl::StatusCode::kInternal},
    CauseRow{Cause::kInvalidArgument, "INVALID_ARGUMENT", absl::StatusCode::kInvalidArgument},
    CauseRow{Cause::kUnauthenticated, "UNAUTHENTICATED", absl::StatusCode::kUnauthenticated},
    CauseRow{Cause::kPermissionDenied, "PERMISSION_DENIED", absl::StatusCode::kPermissionDenied},
    CauseRow{Cause::kNotFound, "NOT_FOUND", absl::StatusCode::kNotFound},
    CauseRow{Cause::kAlreadyExists, "ALREADY_EXISTS", absl::StatusCode::kAlreadyExists},
    CauseRow{Cause::kFailedPrecondition, "FAILED_PRECONDITION", absl::StatusCode::kFailedPrecondition},
    CauseRow{Cause::kConflict, "CONFLICT", absl::StatusCode::kAborted},
    CauseRow{Cause::kResourceExhausted, "RESOURCE_EXHAUSTED", absl::StatusCode::kResourceExhausted},
    CauseRow{Cause::kUnavailable, "UNAVAILABLE", absl::StatusCode::kUnavailable},
    CauseRow{Cause::kUnimplemented, "UNIMPLEMENTED", absl::StatusCode::kUnimplemented},
    CauseRow{Cause::kIo, "IO", absl::StatusCode::kUnknown},
    CauseRow{Cause::kCorrupt, "CORRUPT", absl::StatusCode::kDataLoss},
    CauseRow{Cause::kKmsDenied, "KMS_DENIED", absl::StatusCode::kPermissionDenied},
    CauseRow{Cause::kKmsDisabled, "KMS_DISABLED", absl::StatusCode::kFailedPrecondition},
    CauseRow{Cause::kKmsPendingDeletion, "KMS_PENDING_DELETION", absl::StatusCode::kFailedPrecondition},
    CauseRow{Cause::kKmsKeyNotFound, "KMS_KEY_NOT_FOUND", absl::StatusCode::kNotFound},
    CauseRow{Cause::kKmsWrongKey, "KMS_WRONG_KEY", absl::StatusCode::kInvalidArgument},
    CauseRow{Cause::kKmsThrottled, "KMS_THROTTLED", absl::StatusCode::kResourceExhausted},
    CauseRow{Cause::kKmsUnreachable, "KMS_UNREACHABLE", absl::StatusCode::kUnavailable},
    CauseRow{Cause::kKmsBadCredentials, "KMS_BAD_CREDENTIALS", absl::StatusCode::kUnauthenticated},
    CauseRow{Cause::kKmsCorrupt, "KMS_CORRUPT", absl::StatusCode::kDataLoss},
};

constexpr bool InEnumOrder() {
  for (size_t i = 0; i < kCauses.size(); ++i) {
    if (static_cast<size_t>(kCauses[i].cause) != i) return false;
  }
  return true;
}
static_assert(InEnumOrder(), "kCauses is indexed by Cause");

const CauseRow& RowOf(Cause cause) { return kCauses[static_cast<size_t>(cause)]; }

}  // namespace

std::string_view CauseName(Cause cause) { return RowOf(cause).name; }

Cause CauseFromName(std::string_view name) {
  const auto* row =
      std::find_if(kCauses.begin(), kCauses.end(), [&](const CauseRow& r) { return r.name == name; });
  return row == kCauses.end() ? Cause::kInternal : row->cause;
}

Status Error(Cause cause, std::string_view message) {
  const CauseRow& row = RowOf(cause);
  Status status(row.code, absl::string_view(message.data(), message.size()));
  status.SetPayload(kCausePayload, absl::Cord(absl::string_view(row.name.data(), row.name.size())));
  return status;
}

Status ErrnoError(int error, std::string_view what) {
  const Cause cause = error == ENOSPC || error == EDQUOT ? Cause::kResourceExhausted : Cause::kIo;
  Status status = Error(cause, std::string(what) + ": " + std::generic_category().message(error));
  status.SetPayload(kErrnoPayload, absl::Cord(absl::StrCat(error)));
  return status;
}

Cause CauseOf(const Status& status) {
  const auto payload = status.GetPayload(kCausePayload);
  return payload.has_value() ? CauseFromName(std::string(*payload)) : Cause::kInternal;
}

int ErrnoOf(const Status& status) {
  const auto payload = status.GetPayload(kErrnoPayload);
  int error = 0;
  return payload.has_value() && absl::SimpleAtoi(std::string(*payload), &error) ? error : 0;
}

Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  Status annotated(status.code(), absl::StrCat(std::string(context), ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& value) { annotated.SetPayload(url, value); });
  return annotated;
}

bool IsRevocation(Cause cause) {
  return cause == Cause::kKmsDenied || cause == Cause::kKmsDisabled || cause == Cause::kKmsPendingDeletion ||
         cause == Cause::kKmsKeyNotFound;
}

bool IsTransient(Cause cause) {
  return cause == Cause::kKmsThrottled || cause == Cause::kKmsUnreachable || cause == Cause::kUnavailable ||
         cause == Cause::kConflict;
}

}  // namespace keyhold
