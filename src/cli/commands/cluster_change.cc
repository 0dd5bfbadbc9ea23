#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/cmek.h"
#include "cli/commands/groups.h"
#include "cli/exit_code.h"
#include "cli/key_spec.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

// The plan that `word` means; the vendor's older names count.
StatusOr<std::string> PlanOf(const std::string& word) {
  static const std::map<std::string, std::string> plans = {{"BASIC", "BASIC"},
                                                           {"SERVERLESS", "BASIC"},
                                                           {"STANDARD", "STANDARD"},
                                                           {"ADVANCED", "ADVANCED"},
                                                           {"DEDICATED", "ADVANCED"}};
  const auto found = plans.find(absl::AsciiStrToUpper(word));
  if (found != plans.end()) return found->second;
  return UsageError(absl::StrCat("the plan must be BASIC, STANDARD or ADVANCED, not \"", word, "\""));
}

// "REGION" or "REGION:NODES".
StatusOr<json> RegionNodes(const std::vector<std::string>& regions) {
  json nodes = json::object();
  for (const std::string& region : regions) {
    const size_t colon = region.find(':');
    int count = 1;
    if (colon != std::string::npos && (!absl::SimpleAtoi(region.substr(colon + 1), &count) || count < 1)) {
      return UsageError(absl::StrCat("\"", region, "\" is not REGION or REGION:NODES"));
    }
    nodes[region.substr(0, colon)] = count;
  }
  return nodes;
}

StatusOr<int> Number(const Arguments& arguments, const std::string& name, int otherwise) {
  int number = otherwise;
  if (arguments.Has(name) && (!absl::SimpleAtoi(arguments.Text(name), &number) || number < 1)) {
    return UsageError(absl::StrCat(name, " must be a positive number, not \"", arguments.Text(name), "\""));
  }
  return number;
}

StatusOr<json> DedicatedSpec(const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const json regions, RegionNodes(arguments.List("REGION")));
  KEYHOLD_ASSIGN_OR_RETURN(const int vcpus, Number(arguments, "--vcpus", 4));
  KEYHOLD_ASSIGN_OR_RETURN(const int storage, Number(arguments, "--storage-gib", 15));
  return json{{"region_nodes", regions},
              {"hardware", {{"machine_spec", {{"num_virtual_cpus", vcpus}}}, {"storage_gib", storage}}}};
}

StatusOr<json> ServerlessSpec(const Arguments& arguments) {
  json spec = {{"regions", arguments.List("REGION")}};
  if (arguments.Has("--primary-region")) spec["primary_region"] = arguments.Text("--primary-region");
  json limits = json::object();
  KEYHOLD_ASSIGN_OR_RETURN(const int units, Number(arguments, "--request-unit-limit", 0));
  KEYHOLD_ASSIGN_OR_RETURN(const int storage, Number(arguments, "--storage-gib-limit", 0));
  KEYHOLD_ASSIGN_OR_RETURN(const int vcpus, Number(arguments, "--provisioned-vcpus", 0));
  if (units > 0) limits["request_unit_limit"] = absl::StrCat(units);
  if (storage > 0) limits["storage_mib_limit"] = absl::StrCat(int64_t{storage} * 1024);
  if (vcpus > 0) limits["provisioned_virtual_cpus"] = absl::StrCat(vcpus);
  if (!limits.empty()) spec["usage_limits"] = limits;
  return spec;
}

// `given`, each KEY=VALUE or KEY= to take it away, on top of `labels`.
StatusOr<json> Labels(const std::vector<std::string>& given, json labels) {
  for (const std::string& label : given) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return UsageError(absl::StrCat("--label takes KEY=VALUE (KEY= takes it away), not \"", label, "\""));
    }
    labels.erase(label.substr(0, equals));
    if (equals + 1 < label.size()) labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return labels;
}

StatusOr<json> CreateBody(const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string plan, PlanOf(arguments.Text("PLAN")));
  json spec = {{"plan", plan}};
  if (plan == "ADVANCED") {
    KEYHOLD_ASSIGN_OR_RETURN(spec["dedicated"], DedicatedSpec(arguments));
  } else {
    KEYHOLD_ASSIGN_OR_RETURN(spec["serverless"], ServerlessSpec(arguments));
  }
  if (arguments.Has("--advanced-security-add-on")) spec["advanced_security_add_on"] = true;
  if (arguments.Has("--delete-protection")) spec["delete_protection"] = "ENABLED";
  if (arguments.Has("--label")) {
    KEYHOLD_ASSIGN_OR_RETURN(spec["labels"], Labels(arguments.List("--label"), json::object()));
  }
  return json{
      {"name", arguments.Text("NAME")}, {"provider", arguments.Text("--cloud", "AWS")}, {"spec", spec}};
}

bool IsSettled(const json& cluster) { return Text(cluster, "state") != "CREATING"; }

Status Created(const json& cluster) {
  if (Text(cluster, "state") != "CREATION_FAILED") return OkStatus();
  return Error(Cause::kFailedPrecondition,
               absl::StrCat("the cluster could not be created; ccloud cluster info ", Text(cluster, "name"),
                            " has more"));
}

Status Create(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const json body, CreateBody(arguments));
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  session.output().Progress("Creating cluster");
  KEYHOLD_ASSIGN_OR_RETURN(json cluster, api.Send("POST", "/clusters", body));
  if (arguments.Has("--wait")) {
    KEYHOLD_ASSIGN_OR_RETURN(
        cluster, session.Await(api, ClusterPath(cluster), IsSettled, "Waiting for the cluster", "state"));
    KEYHOLD_RETURN_IF_ERROR(Created(cluster));
  }
  if (session.output().json()) {
    session.output().Json(cluster);
    return OkStatus();
  }
  session.output().Line("Success! Created cluster");
  session.output().Field("name", Text(cluster, "name"));
  session.output().Field("id", Text(cluster, "id"));
  session.output().Field("state", Text(cluster, "state"));
  return OkStatus();
}

bool ChangesCluster(const Arguments& arguments) {
  for (const char* name :
       {"--plan", "--advanced-security-add-on", "--delete-protection", "--label", "REGION"}) {
    if (arguments.Has(name)) return true;
  }
  return false;
}

std::vector<std::string> RegionsOf(const json& cluster) {
  std::vector<std::string> names;
  for (const json& region : cluster.value("regions", json::array())) names.push_back(Text(region, "name"));
  return names;
}

// The regions given that the cluster has not.
std::vector<std::string> NewRegions(const json& cluster, const Arguments& arguments) {
  const std::vector<std::string> has = RegionsOf(cluster);
  std::vector<std::string> added;
  for (const std::string& region : arguments.List("REGION")) {
    if (std::find(has.begin(), has.end(), region) == has.end()) added.push_back(region);
  }
  return added;
}

// A new region's key goes along in the same call, where a key spec is given.
StatusOr<json> Growth(const json& cluster, const Arguments& arguments,
                      const std::vector<std::string>& added) {
  std::vector<std::string> all = RegionsOf(cluster);
  all.insert(all.end(), added.begin(), added.end());
  KEYHOLD_ASSIGN_OR_RETURN(const json nodes, RegionNodes(all));
  json dedicated = {{"region_nodes", nodes}};
  if (arguments.Has("--cmek-key-spec")) {
    KEYHOLD_ASSIGN_OR_RETURN(const json specs, ParseKeySpec(arguments.Text("--cmek-key-spec"), added));
    dedicated["cmek_region_specs"] = specs["region_specs"];
  }
  return dedicated;
}

StatusOr<json> Changes(const json& cluster, const Arguments& arguments,
                       const std::vector<std::string>& added) {
  json changes = json::object();
  if (arguments.Has("--plan")) {
    KEYHOLD_ASSIGN_OR_RETURN(changes["plan"], PlanOf(arguments.Text("--plan")));
  }
  if (arguments.Has("--advanced-security-add-on")) changes["advanced_security_add_on"] = true;
  if (arguments.Has("--delete-protection"))
    changes["delete_protection"] = arguments.Text("--delete-protection");
  if (arguments.Has("--label")) {
    KEYHOLD_ASSIGN_OR_RETURN(changes["labels"],
                             Labels(arguments.List("--label"), cluster.value("labels", json::object())));
  }
  if (!added.empty()) {
    KEYHOLD_ASSIGN_OR_RETURN(changes["dedicated"], Growth(cluster, arguments, added));
  }
  return changes;
}

// What is wrong with the command line itself, before anything is asked.
Status CheckUpdate(const Arguments& arguments) {
  if (!ChangesCluster(arguments) && !arguments.Has("--cmek-key-spec")) {
    return UsageError(
        "nothing to update: give --plan, --advanced-security-add-on, --delete-protection, --label, "
        "--cmek-key-spec"
        " or a new REGION");
  }
  if (arguments.Has("--plan")) KEYHOLD_RETURN_IF_ERROR(PlanOf(arguments.Text("--plan")).status());
  if (arguments.Has("--label"))
    KEYHOLD_RETURN_IF_ERROR(Labels(arguments.List("--label"), json::object()).status());
  if (!arguments.Has("--cmek-key-spec")) return OkStatus();
  return ParseKeySpec(arguments.Text("--cmek-key-spec"), {}).status();
}

bool HasGrown(const json& cluster) {
  const std::string status = Text(cluster, "operation_status");
  return status != "CRDB_SCALE_RUNNING" && status != "CRDB_CMEK_OPERATION_RUNNING";
}

void ShowUpdated(Session& session, const json& cluster) {
  if (session.output().json()) return session.output().Json(cluster);
  session.output().Line("Success! Updated cluster");
  session.output().Field("name", Text(cluster, "name"));
  session.output().Field("id", Text(cluster, "id"));
  session.output().Field("plan type", Text(cluster, "plan"));
  session.output().Field("advanced security add-on",
                         cluster.value("advanced_security_add_on", false) ? "on" : "off");
  session.output().Field("cmek status", Text(cluster.value("cmek_config", json::object()), "status"));
}

Status Update(Session& session, const Arguments& arguments) {
  KEYHOLD_RETURN_IF_ERROR(CheckUpdate(arguments));
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(json cluster, session.FindCluster(api, arguments.Text("NAME")));
  const std::vector<std::string> added = NewRegions(cluster, arguments);
  KEYHOLD_ASSIGN_OR_RETURN(const json changes, Changes(cluster, arguments, added));
  if (!changes.empty()) {
    session.output().Progress("Updating cluster");
    KEYHOLD_ASSIGN_OR_RETURN(cluster, api.Send("PATCH", ClusterPath(cluster), changes));
  }
  const bool wait = !arguments.Has("--no-wait");
  if (!added.empty() && wait) {
    KEYHOLD_ASSIGN_OR_RETURN(cluster, session.Await(api, ClusterPath(cluster), HasGrown,
                                                    "Waiting for the new regions", "operation_status"));
  } else if (added.empty() && arguments.Has("--cmek-key-spec")) {
    KEYHOLD_ASSIGN_OR_RETURN(const json body,
                             ParseKeySpec(arguments.Text("--cmek-key-spec"), RegionsOf(cluster)));
    KEYHOLD_RETURN_IF_ERROR(
        ApplyCmek(session, api, cluster, body, CmekOperation::kWhicheverFits, wait).status());
  }
  KEYHOLD_ASSIGN_OR_RETURN(cluster, api.Get(ClusterPath(cluster)));
  ShowUpdated(session, cluster);
  return OkStatus();
}

Status Delete(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(json cluster, session.FindCluster(api, arguments.Text("NAME")));
  if (!arguments.Has("--yes")) {
    KEYHOLD_RETURN_IF_ERROR(session.Confirm("Deleting a cluster destroys its keys and its data for good.",
                                            Text(cluster, "name")));
  }
  session.output().Progress("Deleting cluster");
  KEYHOLD_ASSIGN_OR_RETURN(cluster, api.Delete(ClusterPath(cluster)));
  if (session.output().json()) {
    session.output().Json(cluster);
    return OkStatus();
  }
  session.output().Line("Success! Deleted cluster");
  session.output().Field("id", Text(cluster, "id"));
  return OkStatus();
}

}  // namespace

std::vector<Command> ClusterChangeCommands() {
  const Positional name = {"NAME", "Name or id of the cluster"};
  const Option add_on = {"--advanced-security-add-on", "",
                         "Turn the Advanced Security Add-on on (never off again); CMEK needs it"};
  const Option label = {"--label", "KEY=VALUE", "A label (KEY= takes it away); may be given again",
                        "",        false,       true};
  return {
      {"cluster create",
       "Create a cluster",
       "ccloud cluster create ADVANCED demo us-east-1 --cloud AWS --advanced-security-add-on --wait",
       {{"PLAN", "BASIC, STANDARD or ADVANCED"},
        {"NAME", "Name of the new cluster"},
        {"REGION", "Region, or REGION:NODES", Positional::kSeveral}},
       {{"--cloud", "AWS|GCP|AZURE", "The cloud that the regions are of (default AWS)"},
        add_on,
        {"--wait", "", "Return when the cluster serves"},
        {"--delete-protection", "", "The cluster cannot be deleted until that is turned off"},
        label,
        {"--vcpus", "N", "ADVANCED: of each node (default 4)"},
        {"--storage-gib", "N", "ADVANCED: of each node (default 15)"},
        {"--primary-region", "REGION", "BASIC, STANDARD: the first of several"},
        {"--request-unit-limit", "N", "BASIC: monthly limit"},
        {"--storage-gib-limit", "N", "BASIC: limit"},
        {"--provisioned-vcpus", "N", "STANDARD: provisioned"}},
       Create},
      {"cluster update",
       "Change a cluster's plan, add-on, labels, protection or CMEK key, or add regions to it",
       "ccloud cluster update demo --cmek-key-spec '{\"type\":\"AWS_KMS\",\"uri\":\"arn:aws:kms:...\"}'\n"
       "ccloud cluster update demo --plan ADVANCED --advanced-security-add-on\n"
       "ccloud cluster update demo eu-west-1 --cmek-key-spec @key-in-eu-west-1.json\n"
       "ccloud cluster update demo --label team=payments --delete-protection ENABLED",
       {name, {"REGION", "Regions to add; with CMEK, --cmek-key-spec has their keys", Positional::kAny}},
       {{"--plan", "PLAN", "Move to this plan"},
        add_on,
        {"--cmek-key-spec", "SPEC",
         "Enable CMEK with this key, or rotate to it: a key spec, {\"region_specs\":[...]} or @FILE. "
         "Returns when the key is in force"},
        {"--wait", "", "The default"},
        {"--no-wait", "", "Return when the server has taken the key spec"},
        label,
        {"--delete-protection", "ENABLED|DISABLED", "ENABLED: the cluster cannot be deleted"}},
       Update},
      {"cluster delete",
       "Delete a cluster, its keys and its data",
       "ccloud cluster delete demo",
       {name},
       {{"--yes", "", "Do not ask for the cluster's name"}},
       Delete},
  };
}

}  // namespace keyhold::cli
