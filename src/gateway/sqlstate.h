// The one place where the gateway turns a Cause into a SQLSTATE, and into the error that a client reads.
//
// Codes are PostgreSQL's (documentation, appendix A). Two of class 57, Operator Intervention, carry a lock:
// 57P01 admin_shutdown for a session that is ended, because drivers and pools take it as "this connection is
// gone, and not by a mistake of yours"; 57P03 cannot_connect_now for a session that is refused, because they
// take it as "the same will work later". Both are what PostgreSQL itself says around a shutdown.
#pragma once

#include <string>
#include <string_view>

#include "gateway/gateway.h"

namespace keyhold::gateway {

inline constexpr std::string_view kAdminShutdown = "57P01";
inline constexpr std::string_view kCrashShutdown = "57P02";
inline constexpr std::string_view kCannotConnectNow = "57P03";
inline constexpr std::string_view kInvalidAuthorization = "28000";
inline constexpr std::string_view kProtocolViolation = "08P01";
inline constexpr std::string_view kFeatureNotSupported = "0A000";
inline constexpr std::string_view kTooManyConnections = "53300";
inline constexpr std::string_view kInternalError = "XX000";

// What an ErrorResponse says. `message` and `hint` have no full stop; Encode() adds none.
struct ErrorText {
  std::string sqlstate;
  std::string message;
  std::string detail;  // may be empty, as may `hint`
  std::string hint;
};

// The code for an error that the gateway itself reports before a session is relayed.
std::string_view SqlState(Cause cause);

// The usual next step for a lock of this cause; never empty.
std::string_view HintFor(Cause cause);

// What an open session is ended with, and what a new one is refused with, for the same lock.
ErrorText EndedBy(const LockReason& reason);
ErrorText RefusedBy(const LockReason& reason);

}  // namespace keyhold::gateway
