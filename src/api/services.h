// The control plane as the handlers see it.
#pragma once

#include <string>

#include "control/allowlist.h"
#include "control/api_keys.h"
#include "control/clusters.h"
#include "control/cmek.h"
#include "control/core.h"
#include "control/fleet.h"
#include "control/roles.h"
#include "control/service_accounts.h"
#include "control/sql_users.h"

namespace keyhold::api {

// Whom customers grant access to their keys, in each cloud; empty where it is not known.
struct Principals {
  std::string aws_user_arn;
  std::string gcp_service_account;
  std::string azure_client_id;
};

// Built once by the server; safe to use from any thread. The references of `core` must outlive it.
struct Services {
  Services(const control::Core& core_in, const control::FleetOptions& fleet_options)
      : core(core_in),
        fleet(core, fleet_options),
        clusters(core, fleet),
        cmek(core, fleet),
        sql_users(core),
        allowlist(core),
        api_keys(core),
        service_accounts(core),
        roles(core) {}
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  control::Core core;
  control::Fleet fleet;
  control::Clusters clusters;
  control::Cmek cmek;
  control::SqlUsers sql_users;
  control::Allowlist allowlist;
  control::ApiKeys api_keys;
  control::ServiceAccounts service_accounts;
  control::Roles roles;
  Principals principals;
};

}  // namespace keyhold::api
