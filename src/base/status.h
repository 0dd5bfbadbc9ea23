// The one status type of Keyhold: absl::Status, plus a Cause that says what the caller does next.
//
// Every error is made by Error() or ErrnoError(); its message is a sentence for the user, without a trailing
// full stop, that names the thing and the next step. Nobody compares messages: code branches on CauseOf().
// Each front end converts a Cause in one place: api (HTTP), gateway (SQLSTATE), store (errno), cli (exit
// code).
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keyhold {

using absl::OkStatus;
using absl::Status;
using absl::StatusOr;

enum class Cause {
  kInternal = 0,        // a bug; also what an absl::Status not made here counts as
  kInvalidArgument,     // the input is wrong, and will be tomorrow
  kUnauthenticated,     // who are you?
  kPermissionDenied,    // known, and not allowed
  kNotFound,            // the named thing does not exist
  kAlreadyExists,       // it does, and must not
  kFailedPrecondition,  // another state is needed first; the message says which
  kConflict,            // another operation is under way: the same call may succeed later
  kResourceExhausted,   // disk, memory or a quota is full
  kUnavailable,         // the other side is not there now
  kUnimplemented,       // not built
  kIo,                  // the operating system refused; ErrnoOf() has its number
  kCorrupt,             // data on disk does not authenticate or does not parse
  kKmsDenied,           // the KMS refused this principal this action on this key
  kKmsDisabled,         // the key (or its version) is disabled
  kKmsPendingDeletion,  // the key waits for its deletion
  kKmsKeyNotFound,      // destroyed, or never there
  kKmsWrongKey,         // wrong region, wrong usage or kind
  kKmsThrottled,        // 429 and its like
  kKmsUnreachable,      // timeout, refused, reset, DNS, TLS, 5xx
  kKmsBadCredentials,   // ours are missing, expired or malformed
  kKmsCorrupt,          // it answered, and the answer does not verify
};

// The names above in the form of logs and JSON: "KMS_DENIED". Never null.
std::string_view CauseName(Cause cause);

// The inverse of CauseName; kInternal for a name it does not know.
Cause CauseFromName(std::string_view name);

// A status with `cause` and `message`. `cause` decides the absl code.
Status Error(Cause cause, std::string_view message);

// kIo (kResourceExhausted for ENOSPC and EDQUOT) with "`what`: strerror". `error` is a positive errno.
Status ErrnoError(int error, std::string_view what);

// `status` must not be OK.
Cause CauseOf(const Status& status);

// The positive errno given to ErrnoError(), else 0.
int ErrnoOf(const Status& status);

// The same error, its message preceded by "`context`: ". OK stays OK.
Status Annotate(const Status& status, std::string_view context);

// True for the four causes that mean the customer took the key away: node locks.
bool IsRevocation(Cause cause);

// True where the same call may succeed a moment later: throttled, unreachable, unavailable, conflict.
bool IsTransient(Cause cause);

}  // namespace keyhold

#define KEYHOLD_CONCAT_INNER(a, b) a##b
#define KEYHOLD_CONCAT(a, b) KEYHOLD_CONCAT_INNER(a, b)

// Returns from the function when `expr` is not OK.
#define KEYHOLD_RETURN_IF_ERROR(expr)                         \
  do {                                                        \
    if (::absl::Status kh_status = (expr); !kh_status.ok()) { \
      return kh_status;                                       \
    }                                                         \
  } while (false)

// `lhs` = the value of the StatusOr `expr`, or returns its status.
#define KEYHOLD_ASSIGN_OR_RETURN(lhs, expr) \
  KEYHOLD_ASSIGN_OR_RETURN_IMPL(KEYHOLD_CONCAT(kh_or_, __LINE__), lhs, expr)
#define KEYHOLD_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) return std::move(tmp).status();      \
  lhs = *std::move(tmp)
