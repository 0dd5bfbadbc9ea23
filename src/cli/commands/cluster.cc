#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "cli/cluster_view.h"
#include "cli/commands/groups.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

Status List(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  session.output().Progress("Retrieving clusters");
  KEYHOLD_ASSIGN_OR_RETURN(const json all, api.List("/clusters", "clusters"));
  json clusters = json::array();
  for (const json& cluster : all) {
    if (arguments.Text("--plan-type", Text(cluster, "plan")) == Text(cluster, "plan"))
      clusters.push_back(cluster);
  }
  if (session.output().json()) {
    session.output().Json(clusters);
    return OkStatus();
  }
  Rows rows;
  for (const json& c : clusters) {
    rows.push_back({Text(c, "name"), Text(c, "id"), Text(c, "plan"), ShortTime(Text(c, "created_at")),
                    Text(c, "state"), Text(c, "cloud_provider"), Text(c, "cockroach_version")});
  }
  session.output().Table({"NAME", "ID", "PLAN TYPE", "CREATED AT", "STATE", "CLOUD", "VERSION"}, rows);
  return OkStatus();
}

Status Info(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  if (session.output().json()) {
    session.output().Json(cluster);
  } else {
    PrintCluster(session.output(), cluster);
  }
  return OkStatus();
}

Status Nodes(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  std::string path = ClusterPath(cluster) + "/nodes";
  if (arguments.Has("--region"))
    absl::StrAppend(&path, "?region_name=", PercentEncoded(arguments.Text("--region")));
  KEYHOLD_ASSIGN_OR_RETURN(const json nodes, api.List(path, "nodes"));
  if (session.output().json()) {
    session.output().Json(nodes);
    return OkStatus();
  }
  Rows rows;
  for (const json& node : nodes)
    rows.push_back({Text(node, "name"), Text(node, "region_name"), Text(node, "status")});
  session.output().Table({"NAME", "REGION", "STATUS"}, rows);
  return OkStatus();
}

Status Regions(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  const std::string query = arguments.Has("--cloud") ? "?provider=" + arguments.Text("--cloud") : "";
  KEYHOLD_ASSIGN_OR_RETURN(const json regions, api.List("/clusters/available-regions" + query, "regions"));
  if (session.output().json()) {
    session.output().Json(regions);
    return OkStatus();
  }
  Rows rows;
  for (const json& r : regions) rows.push_back({Text(r, "name"), Text(r, "provider"), Text(r, "location")});
  session.output().Table({"NAME", "CLOUD", "LOCATION"}, rows);
  return OkStatus();
}

Status Versions(Session& session, const Arguments&) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json versions, api.List("/cluster-versions", "versions"));
  if (session.output().json()) {
    session.output().Json(versions);
    return OkStatus();
  }
  Rows rows;
  for (const json& v : versions)
    rows.push_back({Text(v, "version"), Text(v, "release_type"), Text(v, "support_status")});
  session.output().Table({"VERSION", "RELEASE TYPE", "SUPPORT STATUS"}, rows);
  return OkStatus();
}

}  // namespace

std::vector<Command> ClusterCommands() {
  return {
      {"cluster list",
       "List clusters",
       "ccloud cluster list\nccloud cluster list --plan-type ADVANCED -o json",
       {},
       {{"--plan-type", "BASIC|STANDARD|ADVANCED", "Only clusters of this plan"}},
       List},
      {"cluster info",
       "Show a cluster: its state, its keys, and why it is locked",
       "ccloud cluster info demo\nccloud cluster info demo -o json",
       {{"NAME", "Name or id of the cluster"}},
       {},
       Info},
      {"cluster nodes",
       "List a cluster's nodes",
       "ccloud cluster nodes demo",
       {{"NAME", "Name or id of the cluster"}},
       {{"--region", "REGION", "Only nodes of this region"}},
       Nodes},
      {"cluster regions",
       "List the regions that clusters can be in",
       "ccloud cluster regions --cloud AWS",
       {},
       {{"--cloud", "AWS|GCP|AZURE", "Only this cloud's"}},
       Regions},
      {"cluster versions",
       "List the versions that clusters can have",
       "ccloud cluster versions",
       {},
       {},
       Versions},
  };
}

}  // namespace keyhold::cli
