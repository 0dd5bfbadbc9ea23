#include "gateway/protocol.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace keyhold::gateway {
namespace {

// Takes a NUL-terminated string off the front of `rest`.
std::optional<std::string_view> TakeString(std::string_view& rest) {
  const size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view text = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return text;
}

void AddField(std::string& body, char field, std::string_view value) {
  if (value.empty()) return;
  body += field;
  body += value;
  body += '\0';
}

Status BadStartup(std::string_view what) {
  return Error(Cause::kInvalidArgument,
               absl::StrCat("invalid startup packet: ", absl::string_view(what.data(), what.size()),
                            "; connect with a PostgreSQL client"));
}

StatusOr<StartupMessage> ParseParameters(uint32_t version, std::string_view rest) {
  StartupMessage startup{.version = version, .parameters = {}};
  while (true) {
    const auto name = TakeString(rest);
    if (!name) return BadStartup("a parameter name has no end");
    if (name->empty()) break;
    const auto value = TakeString(rest);
    if (!value) return BadStartup("a parameter value has no end");
    startup.parameters.emplace_back(*name, *value);
  }
  if (!rest.empty()) return BadStartup("bytes follow the last parameter");
  return startup;
}

Status CheckVersion(uint32_t version) {
  if (version >> 16 == 3) return OkStatus();
  return Error(Cause::kUnimplemented,
               absl::StrCat("unsupported frontend protocol ", version >> 16, ".", version & 0xffff,
                            ": the gateway speaks 3.0; use a client for PostgreSQL 7.4 or later"));
}

bool AsksForReplication(std::string_view value) {
  return !value.empty() && value != "0" && !absl::EqualsIgnoreCase({value.data(), value.size()}, "false") &&
         !absl::EqualsIgnoreCase({value.data(), value.size()}, "off") &&
         !absl::EqualsIgnoreCase({value.data(), value.size()}, "no");
}

StatusOr<StartupPacket> FixedSize(StartupKind kind, std::string_view packet, size_t size) {
  if (packet.size() != size) return BadStartup("its length does not fit its kind");
  StartupPacket out{.kind = kind, .cancel = {}, .startup = {}};
  if (kind == StartupKind::kCancel) {
    out.cancel = {.pid = ReadU32(packet.substr(8)), .secret = ReadU32(packet.substr(12))};
  }
  return out;
}

}  // namespace

uint32_t ReadU32(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])); };
  return at(0) << 24 | at(1) << 16 | at(2) << 8 | at(3);
}

std::string U32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string Message(char type, std::string_view body) {
  std::string out(1, type);
  out += U32(static_cast<uint32_t>(body.size() + 4));
  out += body;
  return out;
}

std::string FatalError(const ErrorText& text) {
  std::string body;
  AddField(body, 'S', "FATAL");
  AddField(body, 'V', "FATAL");
  AddField(body, 'C', text.sqlstate);
  AddField(body, 'M', text.message);
  AddField(body, 'D', text.detail);
  AddField(body, 'H', text.hint);
  body += '\0';
  return Message('E', body);
}

std::string_view ErrorField(std::string_view body, char field) {
  while (!body.empty() && body[0] != '\0') {
    const char type = body[0];
    body.remove_prefix(1);
    const auto value = TakeString(body);
    if (!value) break;
    if (type == field) return *value;
  }
  return {};
}

std::string WithPosition(std::string_view body, uint64_t position) {
  std::string out;
  while (!body.empty() && body[0] != '\0') {
    const char type = body[0];
    body.remove_prefix(1);
    const auto value = TakeString(body);
    if (!value) break;
    AddField(out, type, type == 'P' ? std::string_view(absl::StrCat(position)) : *value);
  }
  out += '\0';
  return out;
}

std::string_view StartupMessage::Get(std::string_view name) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const auto& parameter) { return parameter.first == name; });
  return found == parameters.end() ? std::string_view() : found->second;
}

StatusOr<uint32_t> StartupLength(std::string_view first_four) {
  const uint32_t length = ReadU32(first_four);
  if (length < 8) return BadStartup("its length is below 8");
  if (length > kMaxStartupLength) return BadStartup("it is longer than 10000 bytes");
  return length;
}

StatusOr<StartupPacket> ParseStartup(std::string_view packet) {
  if (packet.size() < 8 || ReadU32(packet) != packet.size()) return BadStartup("its length is wrong");
  const uint32_t code = ReadU32(packet.substr(4));
  switch (code) {
    case kSslRequest:
      return FixedSize(StartupKind::kSslRequest, packet, 8);
    case kGssEncRequest:
      return FixedSize(StartupKind::kGssEncRequest, packet, 8);
    case kCancelRequest:
      return FixedSize(StartupKind::kCancel, packet, 16);
    default:
      break;
  }
  KEYHOLD_RETURN_IF_ERROR(CheckVersion(code));
  KEYHOLD_ASSIGN_OR_RETURN(StartupMessage startup, ParseParameters(code, packet.substr(8)));
  return StartupPacket{.kind = StartupKind::kStartup, .cancel = {}, .startup = std::move(startup)};
}

Status CheckStartup(const StartupMessage& startup) {
  for (const auto& [name, value] : startup.parameters) {
    if (HasControls(name) || HasControls(value)) return BadStartup("a parameter has control characters");
  }
  if (AsksForReplication(startup.Get("replication"))) {
    return Error(Cause::kUnimplemented,
                 "replication connections are not supported: a copy of the data would leave the cluster's "
                 "CMEK key behind; use pg_dump");
  }
  if (startup.Get("user").empty()) return BadStartup("it names no user");
  return OkStatus();
}

std::string WithoutChannelBinding(std::string_view sasl_body) {
  std::string out(sasl_body.substr(0, 4));
  std::string_view rest = sasl_body.substr(4);
  while (const auto mechanism = TakeString(rest)) {
    if (mechanism->empty()) break;
    if (mechanism->ends_with("-PLUS")) continue;
    out += *mechanism;
    out += '\0';
  }
  out += '\0';
  return out;
}

}  // namespace keyhold::gateway
