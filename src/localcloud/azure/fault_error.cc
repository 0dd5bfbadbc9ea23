#include "localcloud/azure/fault_error.h"

#include "absl/strings/str_cat.h"
#include "localcloud/azure/error.h"

namespace keyhold::localcloud::azure {

Status FaultError(FaultKind kind, const AccessEntry& entry) {
  if (kind == FaultKind::kThrottled) {
    return AzureError(429, "Throttled",
                      "Request was not processed because too many requests were received. Reason: "
                      "VaultRequestTypeLimitReached");
  }
  if (kind == FaultKind::kUnavailable)
    return AzureError(503, "ServiceUnavailable", "The service is temporarily unavailable.");
  return AzureError(403, "Forbidden",
                    absl::StrCat("The user, group or application 'oid=", entry.principal,
                                 "' does not have the permission for ", entry.action, " on '", entry.key,
                                 "'. For help resolving this issue, please see "
                                 "https://go.microsoft.com/fwlink/?linkid=2125287"),
                    "AccessDenied");
}

Status LoginFaultError(FaultKind kind) {
  if (kind == FaultKind::kThrottled) {
    return AzureError(429, "temporarily_unavailable",
                      "AADSTS90055: The server is temporarily too busy to handle the request.", "90055");
  }
  if (kind == FaultKind::kUnavailable) {
    return AzureError(503, "temporarily_unavailable",
                      "AADSTS90033: A transient error has occurred. Please try again.", "90033");
  }
  return AzureError(400, "unauthorized_client", "AADSTS7000112: The application is disabled.", "7000112");
}

}  // namespace keyhold::localcloud::azure
