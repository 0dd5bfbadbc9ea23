// Roles: which account may do what, and where. What each role allows is one table of the API
// (api/permissions.h); here is who has which.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/core.h"

namespace keyhold::control {

// The Cloud API's name; nothing for a name that is none.
std::string_view RoleName(Role role);
std::optional<Role> RoleFromName(std::string_view name);

// The roles that can be had on a single cluster.
bool IsClusterRole(Role role);

// kInvalidArgument: a role that cannot be had in this scope; kUnimplemented: a folder's.
Status CheckGrant(const RoleGrant& grant);

// Whether `grants` has `role` for the whole organization, or (with a cluster's id) on that cluster.
bool HasRole(const std::vector<RoleGrant>& grants, Role role, const std::string& cluster_id = "");

// kPermissionDenied unless who has `caller`'s roles may give or take `grant`: an ORG_ADMIN all, a
// CLUSTER_ADMIN those of clusters, within the clusters that he administers.
Status CheckMayGrant(const Caller& caller, const RoleGrant& grant);

// Safe to use from any thread. Every change, made or refused, is in the audit log. kNotFound: no such
// account, or no such cluster. Every account is a member of the organization: ORG_MEMBER is in no table,
// comes first in every list, and can be neither given nor taken. An ORG_ADMIN with a key always remains: what
// would take the last one is kFailedPrecondition.
class Roles {
 public:
  explicit Roles(Core& core) : core_(core) {}

  struct AccountRoles {
    std::string account_id;
    std::vector<RoleGrant> grants;  // ORG_MEMBER first
  };
  StatusOr<std::vector<AccountRoles>> List();
  StatusOr<std::vector<RoleGrant>> Get(const std::string& account_id);

  // Each returns the account's roles as they are then. Set() replaces all. Adding what is there and removing
  // what is not changes nothing and is no error.
  StatusOr<std::vector<RoleGrant>> Set(const Caller& caller, const std::string& account_id,
                                       const std::vector<RoleGrant>& grants);
  StatusOr<std::vector<RoleGrant>> Add(const Caller& caller, const RoleGrant& grant);
  StatusOr<std::vector<RoleGrant>> Remove(const Caller& caller, const RoleGrant& grant);

 private:
  Core& core_;
};

// For those who change accounts and roles in a transaction of their own. The grant, if `caller` may give it:
// the errors of Roles::Add().
Status PutGrant(Tables& tables, const Caller& caller, const RoleGrant& grant);

// As the audit log has them.
nlohmann::json GrantsJson(const std::vector<RoleGrant>& grants);

// kFailedPrecondition where no account with an API key would have ORG_ADMIN any more.
Status CheckAdminRemains(Tables& tables);

}  // namespace keyhold::control
