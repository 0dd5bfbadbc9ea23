// The PostgreSQL protocol 3.0 as values: message types, the startup packet, errors. No sockets.
//
// PostgreSQL 15 documentation, 55.7 "Message Formats". Integers are in network byte order; a length counts
// itself but not the type byte. Views point into the bytes that were given.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/sqlstate.h"

namespace keyhold::gateway {

inline constexpr size_t kHeaderSize = 5;                   // type, length
inline constexpr uint32_t kMaxMessageLength = 0x3fffffff;  // PostgreSQL's own (MaxAllocSize - 1)
inline constexpr uint32_t kMaxStartupLength = 10'000;      // MAX_STARTUP_PACKET_LENGTH in libpq/pqcomm.h
inline constexpr uint32_t kMaxAuthLength = 65'535;         // PG_MAX_AUTH_TOKEN_LENGTH in libpq/auth.h

// What stands in the place of a protocol version in the first packet.
inline constexpr uint32_t kSslRequest = 80877103;
inline constexpr uint32_t kGssEncRequest = 80877104;
inline constexpr uint32_t kCancelRequest = 80877102;

uint32_t ReadU32(std::string_view bytes);  // of at least four
std::string U32(uint32_t value);

// A whole message: type, length, body.
std::string Message(char type, std::string_view body);

// ErrorResponse with severity FATAL.
std::string FatalError(const ErrorText& text);

// One field of an ErrorResponse's or NoticeResponse's body, by its type byte ('P' is the position); empty
// when there is none.
std::string_view ErrorField(std::string_view body, char field);

// The same body with field 'P' set to `position`.
std::string WithPosition(std::string_view body, uint64_t position);

// A packet without a type byte: what a client starts with.
struct SslRequest {};
struct GssEncRequest {};
struct CancelRequest {
  uint32_t pid = 0;
  uint32_t secret = 0;
};
struct StartupMessage {
  uint32_t version = 0;  // major in the upper half
  std::vector<std::pair<std::string_view, std::string_view>> parameters;

  // Empty when it is not there.
  std::string_view Get(std::string_view name) const;
};

enum class StartupKind { kSslRequest, kGssEncRequest, kCancel, kStartup };

struct StartupPacket {
  StartupKind kind = StartupKind::kStartup;
  CancelRequest cancel;
  StartupMessage startup;
};

// The length of a startup packet from its first four bytes. kInvalidArgument: shorter than 8 or longer than
// kMaxStartupLength.
StatusOr<uint32_t> StartupLength(std::string_view first_four);

// `packet` is whole, with its length. kInvalidArgument: malformed; kUnimplemented: protocol 2, or 4 and up.
StatusOr<StartupPacket> ParseStartup(std::string_view packet);

// Whether a startup message may be relayed to PostgreSQL: kUnimplemented for replication, kInvalidArgument
// without a user, or with control characters: PostgreSQL writes what it refuses to the node's log as it came.
Status CheckStartup(const StartupMessage& startup);

// The body of AuthenticationSASL without the mechanisms that end in -PLUS: those bind to the TLS channel,
// which ends here.
std::string WithoutChannelBinding(std::string_view sasl_body);

}  // namespace keyhold::gateway
