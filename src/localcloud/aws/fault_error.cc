#include "localcloud/aws/fault_error.h"

#include "absl/strings/str_cat.h"
#include "localcloud/aws/error.h"

namespace keyhold::localcloud::aws {

Status FaultError(FaultKind kind, Service service, const AccessEntry& entry) {
  if (kind == FaultKind::kThrottled) {
    return AwsError("ThrottlingException",
                    service == Service::kKms
                        ? "You have exceeded the rate at which you may call KMS. Reduce the "
                          "frequency of your calls."
                        : "Rate exceeded");
  }
  if (kind == FaultKind::kUnavailable) {
    return AwsError("DependencyTimeoutException",
                    "The system timed out while trying to fulfill the request. You can retry the request.");
  }
  return AwsError(
      "AccessDeniedException",
      absl::StrCat("User: ", entry.principal, " is not authorized to perform: ", entry.action,
                   " on resource: ", entry.key, " with an explicit deny in a resource-based policy"));
}

}  // namespace keyhold::localcloud::aws
