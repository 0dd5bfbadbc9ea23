#include "api/router.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "api/handlers.h"

namespace keyhold::api {
namespace {

constexpr Access kKey = Access::kApiKey;
constexpr Access kOpen = Access::kOpen;
constexpr Access kAgent = Access::kAgent;

#define API "/api/v1/"
#define CLUSTER "/api/v1/clusters/{cluster_id}"

constexpr Route kRoutes[] = {
    {"GET", API "api-keys", kKey, ListApiKeys},
    {"POST", API "api-keys", kKey, CreateApiKey},
    {"GET", API "api-keys/{id}", kKey, GetApiKey},
    {"PATCH", API "api-keys/{id}", kKey, UpdateApiKey},
    {"DELETE", API "api-keys/{id}", kKey, DeleteApiKey},
    {"GET", API "auditlogevents", kKey, ListAuditLogs},
    {"GET", API "cluster-versions", kKey, ListClusterVersions},
    {"GET", API "clusters", kKey, ListClusters},
    {"POST", API "clusters", kKey, CreateCluster},
    {"GET", API "clusters/available-regions", kKey, ListAvailableRegions},
    {"GET", CLUSTER, kKey, GetCluster},
    {"PATCH", CLUSTER, kKey, UpdateCluster},
    {"DELETE", CLUSTER, kKey, DeleteCluster},
    {"GET", CLUSTER "/cmek", kKey, GetCmek},
    {"POST", CLUSTER "/cmek", kKey, EnableCmek},
    {"PUT", CLUSTER "/cmek", kKey, UpdateCmek},
    {"PATCH", CLUSTER "/cmek", kKey, ActOnCmek},
    {"POST", CLUSTER "/cmek/check", kKey, CheckCmek},
    {"GET", CLUSTER "/connection-string", kKey, GetConnectionString},
    {"GET", CLUSTER "/networking/allowlist", kKey, ListAllowlist},
    {"POST", CLUSTER "/networking/allowlist", kKey, AddAllowlistEntry},
    {"PUT", CLUSTER "/networking/allowlist/{cidr_ip}/{cidr_mask}", kKey, PutAllowlistEntry},
    {"PATCH", CLUSTER "/networking/allowlist/{cidr_ip}/{cidr_mask}", kKey, UpdateAllowlistEntry},
    {"DELETE", CLUSTER "/networking/allowlist/{cidr_ip}/{cidr_mask}", kKey, DeleteAllowlistEntry},
    {"GET", CLUSTER "/nodes", kKey, ListClusterNodes},
    {"GET", CLUSTER "/sql-users", kKey, ListSqlUsers},
    {"POST", CLUSTER "/sql-users", kKey, CreateSqlUser},
    {"DELETE", CLUSTER "/sql-users/{name}", kKey, DeleteSqlUser},
    {"PUT", CLUSTER "/sql-users/{name}/password", kKey, UpdateSqlUserPassword},
    {"GET", API "organization", kKey, GetOrganization},
    {"GET", API "service-accounts", kKey, ListServiceAccounts},
    {"GET", API "service-accounts/{id}", kKey, GetServiceAccount},

    {"GET", CLUSTER "/backups"},
    {"GET", CLUSTER "/backups-config"},
    {"PATCH", CLUSTER "/backups-config"},
    {"GET", CLUSTER "/databases"},
    {"POST", CLUSTER "/databases"},
    {"PATCH", CLUSTER "/databases"},
    {"PATCH", CLUSTER "/databases/{name}"},
    {"DELETE", CLUSTER "/databases/{name}"},
    {"GET", CLUSTER "/restores"},
    {"POST", CLUSTER "/restores"},
    {"GET", CLUSTER "/restores/{restore_id}"},
    {"GET", API "roles"},
    {"GET", API "roles/{user_id}"},
    {"PUT", API "roles/{user_id}"},
    {"POST", API "roles/{user_id}/{resource_type}/{resource_id}/{role_name}"},
    {"DELETE", API "roles/{user_id}/{resource_type}/{resource_id}/{role_name}"},
    {"POST", API "service-accounts"},
    {"PATCH", API "service-accounts/{id}"},
    {"DELETE", API "service-accounts/{id}"},

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

}  // namespace

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
