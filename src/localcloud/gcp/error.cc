#include "localcloud/gcp/error.h"

#include <nlohmann/json.hpp>

#include "absl/strings/cord.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr char kCodeUrl[] = "keyhold.localcloud/gcp-error-code";
constexpr char kDetailUrl[] = "keyhold.localcloud/gcp-error-detail";

struct Entry {
  std::string_view code;
  int http_status;
  Cause cause;
};

// google/rpc/code.proto.
constexpr Entry kEntries[] = {
    {"INVALID_ARGUMENT", 400, Cause::kInvalidArgument},
    {"FAILED_PRECONDITION", 400, Cause::kFailedPrecondition},
    {"UNAUTHENTICATED", 401, Cause::kUnauthenticated},
    {"PERMISSION_DENIED", 403, Cause::kPermissionDenied},
    {"NOT_FOUND", 404, Cause::kNotFound},
    {"ABORTED", 409, Cause::kConflict},
    {"ALREADY_EXISTS", 409, Cause::kAlreadyExists},
    {"RESOURCE_EXHAUSTED", 429, Cause::kKmsThrottled},
    {"INTERNAL", 500, Cause::kInternal},
    {"UNIMPLEMENTED", 501, Cause::kUnimplemented},
    {"UNAVAILABLE", 503, Cause::kUnavailable},
};

const Entry* Find(std::string_view code) {
  for (const Entry& entry : kEntries) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

absl::Cord CordOf(std::string_view text) { return absl::Cord(absl::string_view(text.data(), text.size())); }

}  // namespace

Status GcpError(std::string_view code, std::string_view message) {
  const Entry* entry = Find(code);
  Status status = Error(entry != nullptr ? entry->cause : Cause::kInternal, message);
  status.SetPayload(kCodeUrl, CordOf(code));
  return status;
}

Status GcpError(std::string_view code, std::string_view message, const Json& detail) {
  Status status = GcpError(code, message);
  status.SetPayload(kDetailUrl, CordOf(detail.dump(-1, ' ', false, Json::error_handler_t::replace)));
  return status;
}

Status Invalid(std::string_view message) { return GcpError("INVALID_ARGUMENT", message); }

Json ErrorInfo(std::string_view reason, std::string_view domain) {
  return {{"@type", "type.googleapis.com/google.rpc.ErrorInfo"}, {"reason", reason}, {"domain", domain}};
}

Json ErrorInfo(std::string_view reason, std::string_view domain, const Json& metadata) {
  Json info = ErrorInfo(reason, domain);
  info["metadata"] = metadata;
  return info;
}

std::string GcpErrorCode(const Status& status) {
  auto payload = status.GetPayload(kCodeUrl);
  return payload ? std::string(*payload) : std::string();
}

int HttpStatusOf(std::string_view code) {
  const Entry* entry = Find(code);
  return entry != nullptr ? entry->http_status : 500;
}

Json ErrorBody(const Status& status) {
  const std::string code = GcpErrorCode(status);
  Json error = {{"code", HttpStatusOf(code)},
                {"message", code.empty() ? "Internal error encountered." : std::string(status.message())},
                {"status", code.empty() ? "INTERNAL" : code}};
  if (auto detail = status.GetPayload(kDetailUrl)) {
    error["details"] = Json::array({Json::parse(std::string(*detail), nullptr, false)});
  }
  return {{"error", std::move(error)}};
}

}  // namespace keyhold::localcloud::gcp
