// One use of the local cloud in the shape in which its cloud's own log tells it, so that a user learns what
// to look for:
//   AWS    a CloudTrail record (AWS KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail")
//   GCP    a LogEntry of Cloud Audit Logs (Cloud Audit Logs, "AuditLog"; Cloud KMS, "Audit logging")
//   Azure  a record of Key Vault's category AuditEvent (Azure Key Vault, "Azure Key Vault logging")
// A field that the access log does not keep is left out. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "localcloud/access_log.h"

namespace keyhold::localcloud {

enum class Cloud { kAws, kGcp, kAzure };

// By the name of the service that the entry has.
Cloud CloudOf(const AccessEntry& entry);

// The name that the command line and key specs use: "AWS", "GCP", "AZURE".
const char* CloudName(Cloud cloud);

// The event in its cloud's own shape.
nlohmann::ordered_json AuditEvent(const AccessEntry& entry);

}  // namespace keyhold::localcloud
