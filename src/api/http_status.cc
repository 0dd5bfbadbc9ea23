#include "api/http_status.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace keyhold::api {
namespace {

struct Row {
  Cause cause;
  HttpStatus status;
};

constexpr std::array kRows = {
    Row{Cause::kInternal, {500, 13}},
    Row{Cause::kInvalidArgument, {400, 3}},
    Row{Cause::kUnauthenticated, {401, 16}},
    Row{Cause::kPermissionDenied, {403, 7}},
    Row{Cause::kNotFound, {404, 5}},
    Row{Cause::kAlreadyExists, {409, 6}},
    Row{Cause::kFailedPrecondition, {400, 9}},
    Row{Cause::kConflict, {409, 10}},
    Row{Cause::kResourceExhausted, {507, 8}},
    Row{Cause::kUnavailable, {503, 14}},
    Row{Cause::kUnimplemented, {501, 12}},
    Row{Cause::kIo, {500, 13}},
    Row{Cause::kCorrupt, {500, 15}},
    // Terraform tries again after a 400: a grant takes a while to spread.
    Row{Cause::kKmsDenied, {400, 3}},
    Row{Cause::kKmsDisabled, {400, 9}},
    Row{Cause::kKmsPendingDeletion, {400, 9}},
    Row{Cause::kKmsKeyNotFound, {400, 3}},
    Row{Cause::kKmsWrongKey, {400, 3}},
    Row{Cause::kKmsThrottled, {429, 8}},
    Row{Cause::kKmsUnreachable, {503, 14}},
    Row{Cause::kKmsBadCredentials, {400, 9}},
    Row{Cause::kKmsCorrupt, {503, 14}},
};

constexpr bool InEnumOrder() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].cause) != i) return false;
  }
  return true;
}
static_assert(InEnumOrder(), "kRows is indexed by Cause");

nlohmann::json Body(int code, std::string_view message, std::string_view reason) {
  return {
      {"code", code},
      {"message", message},
      {"details",
       {{{"@type", "type.googleapis.com/google.rpc.ErrorInfo"}, {"reason", reason}, {"domain", "keyhold"}}}}};
}

}  // namespace

HttpStatus HttpStatusOf(Cause cause) { return kRows[static_cast<size_t>(cause)].status; }

nlohmann::json ErrorBody(const Status& status) {
  const Cause cause = CauseOf(status);
  const std::string message = cause == Cause::kInternal
                                  ? "something went wrong in the server; its log says what"
                                  : std::string(status.message());
  return Body(HttpStatusOf(cause).grpc, message, CauseName(cause));
}

Reply TooMany(std::string_view message, absl::Duration wait) {
  Reply reply = Reply::Json(Body(8, message, "RATE_LIMITED"));
  reply.status = 429;
  const int64_t seconds = absl::ToInt64Seconds(absl::Ceil(wait, absl::Seconds(1)));
  reply.headers["Retry-After"] = std::to_string(std::max<int64_t>(1, seconds));
  return reply;
}

}  // namespace keyhold::api
