#include "api/handlers.h"
#include "api/json_input.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

constexpr absl::Duration kLongPoll = absl::Seconds(25);

Reply Done() { return Reply::Json(json::object()); }

json WorkJson(const control::Work& work) {
  json nodes = json::array();
  for (const control::DesiredWork& node : work.nodes) {
    nodes.push_back({{"desired", wire::ToJson(node.node)}, {"remove", node.remove}});
  }
  json checks = json::array();
  for (const control::CheckTask& task : work.checks) {
    checks.push_back({{"id", task.id},
                      {"node_id", task.node_id},
                      {"key_spec", wire::ToJson(task.key_spec)},
                      {"region", task.region}});
  }
  return {{"version", work.version}, {"nodes", std::move(nodes)}, {"checks", std::move(checks)}};
}

StatusOr<wire::CheckReport> ReadCheckResult(const json& object) {
  if (object.contains("report")) return wire::CheckReportFromJson(object["report"]);
  ObjectReader reader(object, "");
  const std::string cause = reader.Text("cause").value_or("");
  const std::string message = reader.Text("message").value_or("the check failed");
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return Error(CauseFromName(cause), message);
}

}  // namespace

StatusOr<Reply> GetAgentWork(Services& services, const Request& request) {
  const std::string host = request.Query("host");
  if (host.empty()) return Error(Cause::kInvalidArgument, "host is missing");
  KEYHOLD_ASSIGN_OR_RETURN(const control::Work work,
                           services.fleet.Await(host, request.Query("version"), kLongPoll));
  return Reply::Json(WorkJson(work));
}

StatusOr<Reply> PutNodeStatus(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  KEYHOLD_ASSIGN_OR_RETURN(const wire::NodeStatus status, wire::NodeStatusFromJson(object));
  KEYHOLD_RETURN_IF_ERROR(services.fleet.PutStatus(request.path.at("node_id"), status));
  return Done();
}

StatusOr<Reply> NodeRemoved(Services& services, const Request& request) {
  KEYHOLD_RETURN_IF_ERROR(services.fleet.Removed(request.path.at("node_id")));
  return Done();
}

StatusOr<Reply> FinishAgentCheck(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  KEYHOLD_RETURN_IF_ERROR(services.fleet.FinishCheck(request.path.at("check_id"), ReadCheckResult(object)));
  return Done();
}

}  // namespace keyhold::api
