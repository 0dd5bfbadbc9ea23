#include "cli/cmek.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/groups.h"
#include "cli/key_spec.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

void Show(Session& session, const json& cluster, const json& info) {
  if (session.output().json()) {
    session.output().Json(info);
  } else {
    PrintCmek(session.output(), Text(cluster, "name"), info);
  }
}

Status Get(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  session.output().Progress("Retrieving CMEK configuration");
  KEYHOLD_ASSIGN_OR_RETURN(const json info, api.Get(ClusterPath(cluster) + "/cmek"));
  Show(session, cluster, info);
  return OkStatus();
}

StatusOr<json> BodyFor(const json& cluster, const Arguments& arguments) {
  if (!arguments.Has("--cmek-key-spec")) return KeysInForce(cluster);  // their newest versions
  std::vector<std::string> regions;
  for (const json& region : cluster.value("regions", json::array())) regions.push_back(Text(region, "name"));
  return ParseKeySpec(arguments.Text("--cmek-key-spec"), regions);
}

Status Apply(Session& session, const Arguments& arguments, CmekOperation operation) {
  if (arguments.Has("--cmek-key-spec")) {
    KEYHOLD_RETURN_IF_ERROR(ParseKeySpec(arguments.Text("--cmek-key-spec"), {}).status());
  }
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const json body, BodyFor(cluster, arguments));
  if (body["region_specs"].empty()) {
    return Error(Cause::kFailedPrecondition,
                 absl::StrCat("no CMEK key is in force; enable one: ccloud cluster cmek enable ",
                              Text(cluster, "name"), " --cmek-key-spec SPEC"));
  }
  KEYHOLD_ASSIGN_OR_RETURN(const json info,
                           ApplyCmek(session, api, cluster, body, operation, !arguments.Has("--no-wait")));
  Show(session, cluster, info);
  return OkStatus();
}

Status Enable(Session& session, const Arguments& arguments) {
  return Apply(session, arguments, CmekOperation::kEnable);
}

Status Rotate(Session& session, const Arguments& arguments) {
  return Apply(session, arguments, CmekOperation::kRotate);
}

Status Revoke(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  if (!arguments.Has("--yes")) {
    KEYHOLD_RETURN_IF_ERROR(
        session.Confirm("Revoking locks the cluster at once; it stays locked until it is given a usable key.",
                        Text(cluster, "name")));
  }
  KEYHOLD_ASSIGN_OR_RETURN(const json info, RevokeCmek(session, api, cluster, !arguments.Has("--no-wait")));
  Show(session, cluster, info);
  return OkStatus();
}

Status SetPolicy(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  session.output().Progress("Setting the CMEK policy");
  const std::string path = ClusterPath(cluster) + "/cmek/policy";
  KEYHOLD_ASSIGN_OR_RETURN(const json info,
                           api.Send("PUT", path, {{"unreachable", arguments.Text("--unreachable")}}));
  Show(session, cluster, info);
  return OkStatus();
}

}  // namespace

std::vector<Command> CmekCommands() {
  const Positional name = {"NAME", "Name or id of the cluster"};
  const Option spec = {"--cmek-key-spec", "SPEC", "A key spec, {\"region_specs\":[...]} or @FILE"};
  const Option no_wait = {"--no-wait", "", "Return when the server has taken it"};
  Option required = spec;
  required.help += " (required)";
  required.required = true;
  Option optional = spec;
  optional.help += " (default: the newest version of the key in force)";
  return {
      {"cluster cmek get",
       "Show a cluster's CMEK keys, newest first",
       "ccloud cluster cmek get demo",
       {name},
       {},
       Get},
      {"cluster cmek enable",
       "Enable CMEK",
       "ccloud cluster cmek enable demo --cmek-key-spec @key.json",
       {name},
       {required, no_wait},
       Enable},
      {"cluster cmek rotate",
       "Rotate to a new version of the key, or to another key",
       "ccloud cluster cmek rotate demo\nccloud cluster cmek rotate demo --cmek-key-spec @new-key.json",
       {name},
       {optional, no_wait},
       Rotate},
      {"cluster cmek revoke",
       "Lock the cluster at once",
       "ccloud cluster cmek revoke demo",
       {name},
       {{"--yes", "", "Do not ask for the cluster's name"}, no_wait},
       Revoke},
      {"cluster cmek policy set",
       "Set how long the cluster serves on while its KMS does not answer",
       "ccloud cluster cmek policy set demo --unreachable serve:1h\n"
       "ccloud cluster cmek policy set demo --unreachable lock",
       {name},
       {{"--unreachable", "POLICY",
         "serve:DURATION (1s to 168h), then lock; lock: as soon as a second try has no answer either; "
         "default: "
         "the server's own (required)",
         "", true}},
       SetPolicy},
  };
}

}  // namespace keyhold::cli
