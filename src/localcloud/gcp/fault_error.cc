#include "localcloud/gcp/fault_error.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "localcloud/gcp/error.h"

namespace keyhold::localcloud::gcp {
namespace {

// The permission that the methods of a CMEK need; another method's is its own business.
std::string PermissionFor(const AccessEntry& entry) {
  if (entry.action == "Decrypt") return "cloudkms.cryptoKeyVersions.useToDecrypt";
  if (entry.action == "Encrypt") return "cloudkms.cryptoKeyVersions.useToEncrypt";
  return absl::StrCat("cloudkms.cryptoKeys.", entry.action == "GetCryptoKey" ? "get" : "use");
}

}  // namespace

Status FaultError(FaultKind kind, const AccessEntry& entry) {
  if (kind == FaultKind::kThrottled) {
    return GcpError(
        "RESOURCE_EXHAUSTED",
        absl::StrCat("Quota exceeded for quota metric 'Cryptographic requests' and limit 'Cryptographic "
                     "requests per minute' of service '",
                     entry.service, "' for consumer 'project_number:100000000001'."),
        ErrorInfo("RATE_LIMIT_EXCEEDED", "googleapis.com", {{"service", entry.service}}));
  }
  if (kind == FaultKind::kUnavailable)
    return GcpError("UNAVAILABLE", "The service is currently unavailable.");
  const std::string permission = PermissionFor(entry);
  return GcpError("PERMISSION_DENIED",
                  absl::StrCat("Permission '", permission, "' denied on resource '", entry.key,
                               "' (or it may not exist)."),
                  ErrorInfo("IAM_PERMISSION_DENIED", "iam.googleapis.com",
                            {{"permission", permission}, {"resource", entry.key}}));
}

}  // namespace keyhold::localcloud::gcp
