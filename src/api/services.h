// The control plane as the handlers see it.
#pragma once

#include <string>

#include "control/allowlist.h"
#include "control/api_keys.h"
#include "control/clusters.h"
#include "control/cmek.h"
#include "control/core.h"
#include "control/fleet.h"
#include "control/sql_users.h"

namespace keyhold::api {

// Built once by the server; safe to use from any thread. The references of `core` must outlive it.
struct Services {
  Services(const control::Core& core_in, const control::FleetOptions& fleet_options)
      : core(core_in),
        fleet(core, fleet_options),
        clusters(core),
        cmek(core, fleet),
        sql_users(core),
        allowlist(core),
        api_keys(core) {}
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  control::Core core;
  control::Fleet fleet;
  control::Clusters clusters;
  control::Cmek cmek;
  control::SqlUsers sql_users;
  control::Allowlist allowlist;
  control::ApiKeys api_keys;
  std::string aws_principal_arn;  // empty: not known
};

}  // namespace keyhold::api
