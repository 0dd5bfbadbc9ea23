#include "api/router.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/handlers.h"
#include "control/roles.h"

namespace keyhold::api {
namespace {

using enum control::Role;

constexpr Access kKey = Access::kApiKey;
constexpr Access kOpen = Access::kOpen;
constexpr Access kAgent = Access::kAgent;
constexpr Scope kMember = Scope::kMember;
constexpr Scope kOrg = Scope::kOrganization;
constexpr Scope kOn = Scope::kCluster;
constexpr Scope kAny = Scope::kAnywhere;

constexpr RoleSet kAdmins = RolesOf(kOrgAdmin, kClusterAdmin);
constexpr RoleSet kAdminister = RolesOf(kClusterAdmin);
constexpr RoleSet kOperate = kAdminister | RolesOf(kClusterOperatorWriter);
constexpr RoleSet kDevelop = kOperate | RolesOf(kClusterDeveloper);
constexpr RoleSet kSeeNodes = kDevelop | RolesOf(kOrgAdmin);
constexpr RoleSet kSee = kSeeNodes | RolesOf(kMetricsViewer, kClusterMonitor, kFolderAdmin, kFolderMover);
constexpr RoleSet kSeeRoles = kAdmins | RolesOf(kFolderAdmin);

#define API "/api/v1/"
#define CLUSTER "/api/v1/clusters/{cluster_id}"
#define ENTRY CLUSTER "/networking/allowlist/{cidr_ip}/{cidr_mask}"
#define GRANT API "roles/{user_id}/{resource_type}/{resource_id}/{role_name}"

constexpr Route kRoutes[] = {
    {"GET", API "api-keys", kKey, ListApiKeys, kOrg, kAdmins},
    {"POST", API "api-keys", kKey, CreateApiKey, kOrg, RolesOf(kOrgAdmin), "CREATE_API_KEY"},
    {"GET", API "api-keys/{id}", kKey, GetApiKey, kOrg, kAdmins},
    {"PATCH", API "api-keys/{id}", kKey, UpdateApiKey, kOrg, RolesOf(kOrgAdmin), "UPDATE_API_KEY"},
    {"DELETE", API "api-keys/{id}", kKey, DeleteApiKey, kOrg, RolesOf(kOrgAdmin), "DELETE_API_KEY"},
    {"GET", API "auditlogevents", kKey, ListAuditLogs, kOrg, RolesOf(kOrgAdmin)},
    {"GET", API "cluster-versions", kKey, ListClusterVersions, kMember},
    {"GET", API "clusters", kKey, ListClusters, kAny, kSee},
    {"POST", API "clusters", kKey, CreateCluster, kOrg, RolesOf(kClusterAdmin, kClusterCreator),
     "CREATE_CLUSTER"},
    {"GET", API "clusters/available-regions", kKey, ListAvailableRegions, kMember},
    {"GET", CLUSTER, kKey, GetCluster, kOn, kSee},
    {"PATCH", CLUSTER, kKey, UpdateCluster, kOn, kOperate, "UPDATE_CLUSTER"},
    {"DELETE", CLUSTER, kKey, DeleteCluster, kOn, kAdminister, "DELETE_CLUSTER"},
    {"GET", CLUSTER "/cmek", kKey, GetCmek, kOn, kOperate},
    {"POST", CLUSTER "/cmek", kKey, EnableCmek, kOn, kOperate, "UPDATE_CMEK"},
    {"PUT", CLUSTER "/cmek", kKey, UpdateCmek, kOn, kOperate, "UPDATE_CMEK"},
    {"PATCH", CLUSTER "/cmek", kKey, ActOnCmek, kOn, kOperate, "REVOKE_CMEK"},
    {"POST", CLUSTER "/cmek/check", kKey, CheckCmek, kOn, kOperate},
    {"PUT", CLUSTER "/cmek/policy", kKey, PutCmekPolicy, kOn, kOperate, "UPDATE_CMEK"},
    {"GET", CLUSTER "/cmek/recovery", kKey, GetCmekRecovery, kOn, kOperate},
    {"PUT", CLUSTER "/cmek/recovery", kKey, PutCmekRecovery, kOn, kAdminister, "UPDATE_CMEK"},
    {"DELETE", CLUSTER "/cmek/recovery", kKey, DeleteCmekRecovery, kOn, kAdminister, "UPDATE_CMEK"},
    {"GET", CLUSTER "/connection-string", kKey, GetConnectionString, kOn, kSee},
    {"GET", CLUSTER "/networking/allowlist", kKey, ListAllowlist, kOn, kDevelop},
    {"POST", CLUSTER "/networking/allowlist", kKey, AddAllowlistEntry, kOn, kOperate, "ADD_IP_ALLOWLIST"},
    {"PUT", ENTRY, kKey, PutAllowlistEntry, kOn, kOperate, "ADD_IP_ALLOWLIST"},
    {"PATCH", ENTRY, kKey, UpdateAllowlistEntry, kOn, kOperate, "EDIT_IP_ALLOWLIST"},
    {"DELETE", ENTRY, kKey, DeleteAllowlistEntry, kOn, kOperate, "DELETE_IP_ALLOWLIST"},
    {"GET", CLUSTER "/nodes", kKey, ListClusterNodes, kOn, kSeeNodes},
    {"GET", CLUSTER "/sql-users", kKey, ListSqlUsers, kOn, kDevelop},
    {"POST", CLUSTER "/sql-users", kKey, CreateSqlUser, kOn, kAdminister, "CREATE_SQL_USER"},
    {"DELETE", CLUSTER "/sql-users/{name}", kKey, DeleteSqlUser, kOn, kAdminister, "DELETE_SQL_USER"},
    {"PUT", CLUSTER "/sql-users/{name}/password", kKey, UpdateSqlUserPassword, kOn, kAdminister,
     "CHANGE_SQL_USER_PASSWORD"},
    {"GET", API "organization", kKey, GetOrganization, kMember},
    {"GET", API "roles", kKey, ListRoleGrants, kOrg, kSeeRoles},
    {"GET", API "roles/{user_id}", kKey, GetRolesOfUser, kOrg, kSeeRoles},
    // What may be given or taken depends on the role: control/roles.h, CheckMayGrant().
    {"PUT", API "roles/{user_id}", kKey, SetRolesOfUser, kAny, kAdmins, "ASSIGN_USER_ROLE"},
    {"POST", GRANT, kKey, AddUserToRole, kAny, kAdmins, "ADD_USER_TO_ROLE"},
    {"DELETE", GRANT, kKey, RemoveUserFromRole, kAny, kAdmins, "REMOVE_USER_FROM_ROLE"},
    {"GET", API "service-accounts", kKey, ListServiceAccounts, kOrg, kAdmins},
    {"POST", API "service-accounts", kKey, CreateServiceAccount, kOrg, kAdmins, "CREATE_SERVICE_ACCOUNT"},
    {"GET", API "service-accounts/{id}", kKey, GetServiceAccount, kOrg, kAdmins},
    {"PATCH", API "service-accounts/{id}", kKey, UpdateServiceAccount, kOrg, RolesOf(kOrgAdmin),
     "UPDATE_SERVICE_ACCOUNT"},
    {"DELETE", API "service-accounts/{id}", kKey, DeleteServiceAccount, kOrg, RolesOf(kOrgAdmin),
     "DELETE_SERVICE_ACCOUNT"},

    {"GET", CLUSTER "/backups", kKey, nullptr, kOn, kOperate},
    {"GET", CLUSTER "/backups-config", kKey, nullptr, kOn, kOperate},
    {"PATCH", CLUSTER "/backups-config", kKey, nullptr, kOn, kOperate, "UPDATE_CLUSTER"},
    {"GET", CLUSTER "/databases", kKey, nullptr, kOn, kDevelop},
    {"POST", CLUSTER "/databases", kKey, nullptr, kOn, kOperate, "UPDATE_CLUSTER"},
    {"PATCH", CLUSTER "/databases", kKey, nullptr, kOn, kOperate, "UPDATE_CLUSTER"},
    {"PATCH", CLUSTER "/databases/{name}", kKey, nullptr, kOn, kOperate, "UPDATE_CLUSTER"},
    {"DELETE", CLUSTER "/databases/{name}", kKey, nullptr, kOn, kOperate, "UPDATE_CLUSTER"},
    {"GET", CLUSTER "/restores", kKey, nullptr, kOn, kOperate},
    {"POST", CLUSTER "/restores", kKey, nullptr, kOn, kOperate, "RESTORE_CLUSTER"},
    {"GET", CLUSTER "/restores/{restore_id}", kKey, nullptr, kOn, kOperate},

    {"GET", "/agent/v1/work", kAgent, GetAgentWork},
    {"PUT", "/agent/v1/nodes/{node_id}/status", kAgent, PutNodeStatus},
    {"POST", "/agent/v1/nodes/{node_id}/removed", kAgent, NodeRemoved},
    {"POST", "/agent/v1/checks/{check_id}", kAgent, FinishAgentCheck},

    {"GET", "/clusters/{cluster_id}/cert", kOpen, GetClusterCertificate},
    {"GET", "/healthz", kOpen, GetHealth},
    {"GET", "/metrics", kOpen, GetMetrics},
};

#undef API
#undef CLUSTER
#undef ENTRY
#undef GRANT

using Segments = std::vector<std::string>;

Segments Split(std::string_view path) { return absl::StrSplit(std::string(path), '/'); }

bool IsName(const std::string& segment) { return segment.size() > 2 && segment.front() == '{'; }

// An empty segment is no value for a name.
bool Fits(const Segments& pattern, const Segments& path, std::map<std::string, std::string>& values) {
  if (pattern.size() != path.size()) return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (IsName(pattern[i]) && !path[i].empty()) {
      values[pattern[i].substr(1, pattern[i].size() - 2)] = Decode(path[i]);
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return true;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool HasOneOf(const control::Caller& caller, RoleSet roles, const std::string& cluster_id, bool anywhere) {
  return std::any_of(caller.grants.begin(), caller.grants.end(), [&](const control::RoleGrant& grant) {
    const bool here = anywhere || grant.cluster_id.empty() || grant.cluster_id == cluster_id;
    return here && (roles & RolesOf(grant.role)) != 0;
  });
}

std::string NamesOf(RoleSet roles) {
  std::vector<std::string> names;
  for (size_t i = 0; i < control::kRoleCount; ++i) {
    const auto role = static_cast<control::Role>(i);
    if ((roles & RolesOf(role)) != 0) names.emplace_back(control::RoleName(role));
  }
  return absl::StrJoin(names, ", ");
}

Status Denied(const Route& route, const Request& request) {
  const char* where =
      route.scope == Scope::kOrganization ? "on the organization" : "on it or the organization";
  return Error(Cause::kPermissionDenied,
               absl::StrCat("service account ", request.caller.service_account_name,
                            " may not do this: it takes one of the roles ", NamesOf(route.roles), " ", where,
                            "; an ORG_ADMIN grants it with ccloud role add"));
}

}  // namespace

bool MaySee(const control::Caller& caller, const std::string& cluster_id) {
  return HasOneOf(caller, kSee, cluster_id, false);
}

Status Authorize(const Route& route, const Request& request) {
  if (route.access != Access::kApiKey || route.scope == Scope::kMember) return OkStatus();
  const auto id = request.path.find("cluster_id");
  const std::string cluster_id = id == request.path.end() ? "" : id->second;
  if (HasOneOf(request.caller, route.roles, cluster_id, route.scope == Scope::kAnywhere)) return OkStatus();
  if (route.scope == Scope::kCluster && !MaySee(request.caller, cluster_id)) {
    return control::NoSuchCluster(cluster_id);
  }
  return Denied(route, request);
}

std::span<const Route> Routes() { return kRoutes; }

Match FindRoute(std::string_view method, std::string_view target) {
  const Segments path = Split(target.substr(0, target.find_first_of("?#")));
  Match best;
  for (const Route& route : kRoutes) {
    std::map<std::string, std::string> values;
    if (!Fits(Split(route.pattern), path, values)) continue;
    if (route.method != method) {
      best.other_method = true;
    } else if (best.route == nullptr || values.size() < best.path.size()) {
      best.route = &route;
      best.path = std::move(values);
    }
  }
  return best;
}

std::string Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low >= 0) {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

}  // namespace keyhold::api
