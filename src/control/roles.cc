#include "control/roles.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "control/audit.h"
#include "control/service_accounts.h"

namespace keyhold::control {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, kRoleCount> kNames = {
    "BILLING_COORDINATOR", "ORG_ADMIN",       "ORG_MEMBER",   "CLUSTER_ADMIN", "CLUSTER_OPERATOR_WRITER",
    "CLUSTER_DEVELOPER",   "CLUSTER_CREATOR", "FOLDER_ADMIN", "FOLDER_MOVER",  "METRICS_VIEWER",
    "CLUSTER_MONITOR",     "BILLING_VIEWER"};

std::vector<RoleGrant> WithMembership(const std::string& account_id, std::vector<RoleGrant> grants) {
  grants.insert(grants.begin(), RoleGrant{account_id, Role::kOrgMember, ""});
  return grants;
}

std::string ScopeOf(const RoleGrant& grant) {
  return grant.cluster_id.empty() ? "the organization" : absl::StrCat("cluster ", grant.cluster_id);
}

json PayloadOf(const std::string& account_id, const std::vector<RoleGrant>& grants) {
  return json{{"user_id", account_id}, {"roles", GrantsJson(grants)}};
}

bool Contains(const std::vector<RoleGrant>& grants, const RoleGrant& grant) {
  return std::find(grants.begin(), grants.end(), grant) != grants.end();
}

}  // namespace

std::string_view RoleName(Role role) { return kNames[static_cast<size_t>(role)]; }

std::optional<Role> RoleFromName(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Role>(found - kNames.begin());
}

bool IsClusterRole(Role role) {
  switch (role) {
    case Role::kClusterAdmin:
    case Role::kClusterOperatorWriter:
    case Role::kClusterDeveloper:
    case Role::kMetricsViewer:
    case Role::kClusterMonitor:
      return true;
    default:
      return false;
  }
}

Status CheckGrant(const RoleGrant& grant) {
  const std::string name(RoleName(grant.role));
  if (grant.role == Role::kFolderAdmin || grant.role == Role::kFolderMover) {
    return Error(Cause::kUnimplemented, absl::StrCat("folders are not built yet, so there is no ", name));
  }
  if (grant.cluster_id.empty() || IsClusterRole(grant.role)) return OkStatus();
  return Error(Cause::kInvalidArgument,
               absl::StrCat(name, " is a role of the organization: it cannot be had on one cluster"));
}

bool HasRole(const std::vector<RoleGrant>& grants, Role role, const std::string& cluster_id) {
  return std::any_of(grants.begin(), grants.end(), [&](const RoleGrant& grant) {
    return grant.role == role &&
           (grant.cluster_id.empty() || (!cluster_id.empty() && grant.cluster_id == cluster_id));
  });
}

Status CheckMayGrant(const Caller& caller, const RoleGrant& grant) {
  if (HasRole(caller.grants, Role::kOrgAdmin)) return OkStatus();
  const bool of_clusters = IsClusterRole(grant.role) || grant.role == Role::kClusterCreator;
  if (of_clusters && HasRole(caller.grants, Role::kClusterAdmin, grant.cluster_id)) return OkStatus();
  return Error(Cause::kPermissionDenied,
               absl::StrCat("service account ", caller.service_account_name, " may not give or take ",
                            std::string(RoleName(grant.role)), " on ", ScopeOf(grant),
                            ": that takes ORG_ADMIN, or for roles of clusters CLUSTER_ADMIN there"));
}

Status PutGrant(Tables& tables, const Caller& caller, const RoleGrant& grant) {
  if (grant.role == Role::kOrgMember && grant.cluster_id.empty()) return OkStatus();
  KEYHOLD_RETURN_IF_ERROR(CheckGrant(grant));
  KEYHOLD_RETURN_IF_ERROR(CheckMayGrant(caller, grant));
  if (!grant.cluster_id.empty()) KEYHOLD_RETURN_IF_ERROR(FindCluster(tables, grant.cluster_id).status());
  tables.roles.Put(grant);
  return OkStatus();
}

json GrantsJson(const std::vector<RoleGrant>& grants) {
  json roles = json::array();
  for (const RoleGrant& grant : grants) {
    roles.push_back({{"name", RoleName(grant.role)}, {"cluster_id", grant.cluster_id}});
  }
  return roles;
}

Status CheckAdminRemains(Tables& tables) {
  const std::vector<ApiKey> keys = tables.api_keys.List();
  const std::vector<RoleGrant> grants = tables.roles.List();
  const bool remains = std::any_of(grants.begin(), grants.end(), [&](const RoleGrant& grant) {
    return grant.role == Role::kOrgAdmin && std::any_of(keys.begin(), keys.end(), [&](const ApiKey& key) {
             return key.service_account_id == grant.account_id;
           });
  });
  if (remains) return OkStatus();
  return Error(
      Cause::kFailedPrecondition,
      "the organization would be left without an ORG_ADMIN that has an API key; make another one first");
}

StatusOr<std::vector<Roles::AccountRoles>> Roles::List() {
  std::vector<AccountRoles> all;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    for (const ServiceAccount& account : tables.organization.ServiceAccounts()) {
      all.push_back({account.id, WithMembership(account.id, tables.roles.OfAccount(account.id))});
    }
    return OkStatus();
  }));
  return all;
}

StatusOr<std::vector<RoleGrant>> Roles::Get(const std::string& account_id) {
  std::vector<RoleGrant> grants;
  KEYHOLD_RETURN_IF_ERROR(core_.store.Read([&](Tables& tables) {
    KEYHOLD_RETURN_IF_ERROR(FindServiceAccount(tables, account_id).status());
    grants = tables.roles.OfAccount(account_id);
    return OkStatus();
  }));
  return WithMembership(account_id, std::move(grants));
}

StatusOr<std::vector<RoleGrant>> Roles::Set(const Caller& caller, const std::string& account_id,
                                            const std::vector<RoleGrant>& wanted) {
  Audit audit(core_, caller, "ASSIGN_USER_ROLE", PayloadOf(account_id, wanted));
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome(audit.Commit([&](Tables& tables) {
    KEYHOLD_RETURN_IF_ERROR(FindServiceAccount(tables, account_id).status());
    const std::vector<RoleGrant> had = tables.roles.OfAccount(account_id);
    for (const RoleGrant& grant : had) {
      if (Contains(wanted, grant)) continue;
      KEYHOLD_RETURN_IF_ERROR(CheckMayGrant(caller, grant));
      tables.roles.Delete(grant);
    }
    for (const RoleGrant& grant : wanted) {
      if (grant.role == Role::kOrgMember || Contains(had, grant)) continue;
      KEYHOLD_RETURN_IF_ERROR(PutGrant(tables, caller, grant));
    }
    return CheckAdminRemains(tables);
  })));
  return Get(account_id);
}

StatusOr<std::vector<RoleGrant>> Roles::Add(const Caller& caller, const RoleGrant& grant) {
  Audit audit(core_, caller, "ADD_USER_TO_ROLE", PayloadOf(grant.account_id, {grant}));
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome(audit.Commit([&](Tables& tables) {
    KEYHOLD_RETURN_IF_ERROR(FindServiceAccount(tables, grant.account_id).status());
    return PutGrant(tables, caller, grant);
  })));
  return Get(grant.account_id);
}

StatusOr<std::vector<RoleGrant>> Roles::Remove(const Caller& caller, const RoleGrant& grant) {
  Audit audit(core_, caller, "REMOVE_USER_FROM_ROLE", PayloadOf(grant.account_id, {grant}));
  KEYHOLD_RETURN_IF_ERROR(audit.Outcome(audit.Commit([&](Tables& tables) {
    KEYHOLD_RETURN_IF_ERROR(FindServiceAccount(tables, grant.account_id).status());
    if (grant.role == Role::kOrgMember) {
      return Error(Cause::kFailedPrecondition,
                   "every account is an ORG_MEMBER; delete the service account to end that");
    }
    KEYHOLD_RETURN_IF_ERROR(CheckMayGrant(caller, grant));
    tables.roles.Delete(grant);
    return CheckAdminRemains(tables);
  })));
  return Get(grant.account_id);
}

}  // namespace keyhold::control
