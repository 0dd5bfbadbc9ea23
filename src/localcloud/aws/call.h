// One authenticated request on its way through a service, and what the access log will say of it.
//
// Everything it points to lives as long as the request. Used by one thread.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "localcloud/aws/host.h"
#include "localcloud/aws/identity_store.h"

namespace keyhold::localcloud::aws {

// Filled in as the request gets on; written when it is answered, whatever the outcome.
struct AccessRecord {
  std::string principal, action, key_arn, request_id, source_address;
  std::map<std::string, std::string> encryption_context;
};

struct Call {
  const Endpoint endpoint;
  const Principal principal;
  const absl::Time now;
  soci::session& sql;
  const Vault& vault;
  IdentityStore& identities;
  AccessRecord& record;
};

}  // namespace keyhold::localcloud::aws
