#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/cluster_input.h"
#include "api/handlers.h"
#include "api/page.h"
#include "api/router.h"
#include "api/views.h"
#include "control/sql_users.h"

namespace keyhold::api {
namespace {

using control::ClusterOrder;
using control::ClusterView;
using nlohmann::json;

constexpr absl::Duration kAgentSilence = absl::Minutes(1);

StatusOr<Reply> ClusterReply(const Services& services, const StatusOr<ClusterView>& view) {
  if (!view.ok()) return view.status();
  return Reply::Json(ClusterJson(services, *view));
}

const std::string& ClusterId(const Request& request) { return request.path.at("cluster_id"); }

StatusOr<ClusterOrder> OrderOf(const std::string& sort_by) {
  if (sort_by.empty() || sort_by == "NAME") return ClusterOrder::kName;
  if (sort_by == "CREATED_AT") return ClusterOrder::kCreatedAt;
  if (sort_by == "DELETED_AT") return ClusterOrder::kDeletedAt;
  return Error(Cause::kInvalidArgument, "pagination.sort_by must be NAME, CREATED_AT or DELETED_AT");
}

bool IsLive(const Services& services, const control::Node& node) {
  return node.reported && node.status.state == wire::NodeState::kServing &&
         services.core.clock.Now() - services.fleet.LastSeen(node.host) < kAgentSilence;
}

// RFC 3986's unreserved characters are all that a user's or a database's name may have here.
Status CheckDatabaseName(const std::string& name) {
  return Annotate(control::CheckSqlUserName(name), "database");
}

Status CheckHasRegion(const ClusterView& view, const std::string& region) {
  const bool has = std::any_of(view.regions.begin(), view.regions.end(),
                               [&](const control::Region& r) { return r.name == region; });
  if (region.empty() || has) return OkStatus();
  return Error(Cause::kNotFound,
               absl::StrCat("cluster ", view.cluster.name, " has no region ", region.substr(0, 64)));
}

}  // namespace

StatusOr<Reply> ListClusters(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const ClusterOrder order, OrderOf(request.Query("pagination.sort_by")));
  const bool deleted_too = request.Query("show_inactive") == "true";
  const auto visible = [&](const std::string& id) { return MaySee(request.caller, id); };
  return Paged(request, "clusters", [&](const Stretch& stretch) -> StatusOr<std::vector<Keyed>> {
    KEYHOLD_ASSIGN_OR_RETURN(
        auto entries, services.clusters.List(
                          {order, stretch.descending, deleted_too, stretch.after, stretch.limit}, visible));
    std::vector<Keyed> items;
    for (auto& entry : entries) items.push_back({std::move(entry.key), ClusterJson(services, entry.view)});
    return items;
  });
}

StatusOr<Reply> CreateCluster(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto spec, ReadClusterSpec(request.body));
  return ClusterReply(services, services.clusters.Create(request.caller, spec));
}

StatusOr<Reply> GetCluster(Services& services, const Request& request) {
  return ClusterReply(services, services.clusters.Get(ClusterId(request)));
}

StatusOr<Reply> UpdateCluster(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto change, ReadClusterChange(request.body));
  return ClusterReply(services, services.clusters.Update(request.caller, ClusterId(request), change));
}

StatusOr<Reply> DeleteCluster(Services& services, const Request& request) {
  return ClusterReply(services, services.clusters.Delete(request.caller, ClusterId(request)));
}

StatusOr<Reply> ListClusterNodes(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, services.clusters.Get(ClusterId(request)));
  const std::string region = request.Query("region_name");
  std::vector<Keyed> items;
  for (const control::Node& node : view.nodes) {
    if (!region.empty() && node.region != region) continue;
    items.push_back({absl::StrCat(node.region, " ", node.id),
                     {{"name", node.id},
                      {"region_name", node.region},
                      {"status", IsLive(services, node) ? "LIVE" : "NOT_READY"}}});
  }
  return Paged(request, "nodes", std::move(items));
}

StatusOr<Reply> GetConnectionString(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, services.clusters.Get(ClusterId(request)));
  const std::string database = request.query.contains("database") ? request.Query("database") : "defaultdb";
  const std::string user = request.Query("sql_user");
  KEYHOLD_RETURN_IF_ERROR(CheckDatabaseName(database));
  if (!user.empty()) KEYHOLD_RETURN_IF_ERROR(Annotate(control::CheckSqlUserName(user), "sql_user"));
  const std::string region = request.Query("region");
  KEYHOLD_RETURN_IF_ERROR(CheckHasRegion(view, region));
  const SqlAddress address = SqlAddressOf(view, region);
  if (address.port.empty()) {
    return Error(Cause::kUnavailable, absl::StrCat("cluster ", view.cluster.name,
                                                   " has no SQL address yet; try again when it is CREATED"));
  }
  const std::string host =
      address.host.find(':') == std::string::npos ? address.host : absl::StrCat("[", address.host, "]");
  const std::string who = user.empty() ? "" : absl::StrCat(user, "@");
  json params = {{"Database", database}, {"Host", address.host}, {"Port", address.port}};
  if (!user.empty()) params["Username"] = user;
  return Reply::Json({{"connection_string", absl::StrCat("postgresql://", who, host, ":", address.port, "/",
                                                         database, "?sslmode=verify-full")},
                      {"params", std::move(params)}});
}

StatusOr<Reply> GetClusterCertificate(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const ClusterView view, services.clusters.Get(ClusterId(request)));
  std::string bundle;
  for (const control::Node& node : view.nodes) bundle += node.status.ca_pem;
  if (bundle.empty()) {
    return Error(Cause::kUnavailable, "the cluster has no certificate yet; try again when it is CREATED");
  }
  return Reply{200, "application/x-pem-file", std::move(bundle)};
}

}  // namespace keyhold::api
