// One authenticated request on its way through a service, and what the access log will say of it.
//
// Everything it points to lives as long as the request. Used by one thread.
#pragma once

#include <string>

#include "base/clock.h"
#include "localcloud/access_log.h"
#include "localcloud/aws/host.h"
#include "localcloud/aws/identity_store.h"

namespace keyhold::localcloud::aws {

struct Call {
  const Endpoint endpoint;
  const Principal principal;
  const absl::Time now;
  soci::session& sql;
  const Vault& vault;
  IdentityStore& identities;
  AccessEntry& record;
};

}  // namespace keyhold::localcloud::aws
