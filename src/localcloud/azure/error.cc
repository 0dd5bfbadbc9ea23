#include "localcloud/azure/error.h"

#include <nlohmann/json.hpp>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr char kTypeUrl[] = "keyhold/azure-error";

Cause CauseOfStatus(int http_status) {
  switch (http_status) {
    case 401:
      return Cause::kUnauthenticated;
    case 403:
      return Cause::kPermissionDenied;
    case 404:
      return Cause::kNotFound;
    case 409:
      return Cause::kConflict;
    case 501:
      return Cause::kUnimplemented;
    default:
      return http_status >= 500 ? Cause::kInternal : Cause::kInvalidArgument;
  }
}

std::string Text(std::string_view text) { return std::string(text); }

}  // namespace

Status AzureError(int http_status, std::string_view code, std::string_view message, std::string_view inner) {
  Status status = Error(CauseOfStatus(http_status), message);
  const nlohmann::json parts = {{"status", http_status}, {"code", Text(code)}, {"inner", Text(inner)}};
  status.SetPayload(kTypeUrl, absl::Cord(parts.dump()));
  return status;
}

ErrorParts PartsOf(const Status& status) {
  const auto payload = status.GetPayload(kTypeUrl);
  if (!payload) return {};
  const auto parts = nlohmann::json::parse(std::string(*payload));
  return {parts["status"].get<int>(), parts["code"].get<std::string>(), parts["inner"].get<std::string>()};
}

Status KeyNotFound(std::string_view name) {
  return AzureError(
      404, "KeyNotFound",
      absl::StrCat("A key with (name/id) ", Text(name),
                   " was not found in this key vault. If you recently deleted this key you may be "
                   "able to recover it using the correct recovery command. For help resolving this "
                   "issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"));
}

Status BadParameter(std::string_view message) { return AzureError(400, "BadParameter", message); }

Status NotBuilt(std::string_view what) {
  return AzureError(501, "NotImplemented", absl::StrCat("The local cloud does not have ", Text(what), "."));
}

}  // namespace keyhold::localcloud::azure
