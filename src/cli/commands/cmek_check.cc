#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/groups.h"
#include "cli/key_spec.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

// "PASS  kms:Encrypt            12 ms", and under a line that did not pass what to do.
void PrintStep(Output& output, const json& step) {
  const int64_t micros = step.value("micros", int64_t{0});
  const std::string took = micros > 0 ? absl::StrCat((micros + 999) / 1000, " ms") : "";
  output.Line(absl::StrCat(Padded(Text(step, "result"), 6), Padded(Text(step, "name"), 22), took));
  if (Text(step, "result") != "PASS") output.Line("      " + Text(step, "message"));
}

void Print(Output& output, const json& answer) {
  for (const json& region : answer.value("regions", json::array())) {
    const json spec = region.value("key_spec", json::object());
    output.Line(absl::StrCat(Text(region, "region"), ": ", Text(spec, "uri")));
    for (const json& step : region.value("steps", json::array())) {
      PrintStep(output, step);
    }
  }
}

Status Check(Session& session, const Arguments& arguments) {
  KEYHOLD_RETURN_IF_ERROR(ParseKeySpec(arguments.Text("--cmek-key-spec"), {}).status());
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("CLUSTER")));
  std::vector<std::string> regions;
  for (const json& region : cluster.value("regions", json::array())) regions.push_back(Text(region, "name"));
  KEYHOLD_ASSIGN_OR_RETURN(const json body, ParseKeySpec(arguments.Text("--cmek-key-spec"), regions));
  session.output().Progress("Checking the key on the cluster's nodes; nothing is changed");
  KEYHOLD_ASSIGN_OR_RETURN(const json answer, api.Send("POST", ClusterPath(cluster) + "/cmek/check", body));
  if (session.output().json()) {
    session.output().Json(answer);
  } else {
    Print(session.output(), answer);
  }
  if (answer.value("usable", false)) return OkStatus();
  return Error(Cause::kFailedPrecondition,
               absl::StrCat("cluster ", Text(cluster, "name"),
                            " could not use this key: see the lines that say FAIL; nothing was changed"));
}

}  // namespace

std::vector<Command> CmekCheckCommands() {
  return {
      {"cmek check",
       "Try a key on the cluster's nodes, and change nothing",
       "ccloud cmek check demo --cmek-key-spec @key.json",
       {{"CLUSTER", "Name or id of the cluster"}},
       {{"--cmek-key-spec", "SPEC", "A key spec, {\"region_specs\":[...]} or @FILE (required)", "", true}},
       Check},
  };
}

}  // namespace keyhold::cli
