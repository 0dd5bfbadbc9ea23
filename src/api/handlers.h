// The handlers of the routes (router.h). Each reads its input, calls one service, and writes its answer; the
// words in brackets in docs/api.md's source, the Cloud API, are their names.
#pragma once

#include "api/request.h"
#include "api/services.h"

namespace keyhold::api {

// cluster_handlers.cc
StatusOr<Reply> ListClusters(Services&, const Request&);
StatusOr<Reply> CreateCluster(Services&, const Request&);
StatusOr<Reply> GetCluster(Services&, const Request&);
StatusOr<Reply> UpdateCluster(Services&, const Request&);
StatusOr<Reply> DeleteCluster(Services&, const Request&);
StatusOr<Reply> ListClusterNodes(Services&, const Request&);
StatusOr<Reply> GetConnectionString(Services&, const Request&);
StatusOr<Reply> GetClusterCertificate(Services&, const Request&);

// cmek_handlers.cc
StatusOr<Reply> GetCmek(Services&, const Request&);
StatusOr<Reply> EnableCmek(Services&, const Request&);
StatusOr<Reply> UpdateCmek(Services&, const Request&);
StatusOr<Reply> ActOnCmek(Services&, const Request&);
StatusOr<Reply> CheckCmek(Services&, const Request&);
StatusOr<Reply> PutCmekPolicy(Services&, const Request&);

// recovery_handlers.cc
StatusOr<Reply> GetCmekRecovery(Services&, const Request&);
StatusOr<Reply> PutCmekRecovery(Services&, const Request&);
StatusOr<Reply> DeleteCmekRecovery(Services&, const Request&);

// access_handlers.cc
StatusOr<Reply> ListSqlUsers(Services&, const Request&);
StatusOr<Reply> CreateSqlUser(Services&, const Request&);
StatusOr<Reply> DeleteSqlUser(Services&, const Request&);
StatusOr<Reply> UpdateSqlUserPassword(Services&, const Request&);
StatusOr<Reply> ListAllowlist(Services&, const Request&);
StatusOr<Reply> AddAllowlistEntry(Services&, const Request&);
StatusOr<Reply> PutAllowlistEntry(Services&, const Request&);
StatusOr<Reply> UpdateAllowlistEntry(Services&, const Request&);
StatusOr<Reply> DeleteAllowlistEntry(Services&, const Request&);

// organization_handlers.cc
StatusOr<Reply> GetOrganization(Services&, const Request&);
StatusOr<Reply> ListApiKeys(Services&, const Request&);
StatusOr<Reply> CreateApiKey(Services&, const Request&);
StatusOr<Reply> GetApiKey(Services&, const Request&);
StatusOr<Reply> UpdateApiKey(Services&, const Request&);
StatusOr<Reply> DeleteApiKey(Services&, const Request&);
StatusOr<Reply> ListAuditLogs(Services&, const Request&);
StatusOr<Reply> ListAvailableRegions(Services&, const Request&);
StatusOr<Reply> ListClusterVersions(Services&, const Request&);

// role_handlers.cc
StatusOr<Reply> ListServiceAccounts(Services&, const Request&);
StatusOr<Reply> CreateServiceAccount(Services&, const Request&);
StatusOr<Reply> GetServiceAccount(Services&, const Request&);
StatusOr<Reply> UpdateServiceAccount(Services&, const Request&);
StatusOr<Reply> DeleteServiceAccount(Services&, const Request&);
StatusOr<Reply> ListRoleGrants(Services&, const Request&);
StatusOr<Reply> GetRolesOfUser(Services&, const Request&);
StatusOr<Reply> SetRolesOfUser(Services&, const Request&);
StatusOr<Reply> AddUserToRole(Services&, const Request&);
StatusOr<Reply> RemoveUserFromRole(Services&, const Request&);

// agent_handlers.cc
StatusOr<Reply> GetAgentWork(Services&, const Request&);
StatusOr<Reply> PutNodeStatus(Services&, const Request&);
StatusOr<Reply> NodeRemoved(Services&, const Request&);
StatusOr<Reply> FinishAgentCheck(Services&, const Request&);

// metrics.cc
StatusOr<Reply> GetHealth(Services&, const Request&);
StatusOr<Reply> GetMetrics(Services&, const Request&);

}  // namespace keyhold::api
