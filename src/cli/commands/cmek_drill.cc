#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/groups.h"
#include "cli/drill.h"
#include "cli/exit_code.h"
#include "cli/key_spec.h"
#include "cli/report.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

void Print(Output& output, const json& report) {
  for (const json& step : report["steps"]) {
    output.Line(absl::StrFormat("%-6s%-38s%7.2f s", step.value("passed", false) ? "PASS" : "FAIL",
                                Text(step, "name"), step.value("seconds", 0.0)));
    for (const json& region : step.value("regions", json::array())) {
      output.Line(
          absl::StrFormat("      %-38s%7.2f s", Text(region, "region"), region.value("seconds", 0.0)));
    }
    if (!Text(step, "error").empty()) output.Line("      " + Text(step, "error"));
  }
}

Status CheckOptions(const DrillOptions& options) {
  if (options.revoke_with.empty() != options.restore_with.empty()) {
    return UsageError("--revoke-with and --restore-with go together");
  }
  if (options.on_cluster && !options.key_spec.empty()) {
    return UsageError("--cmek-key-spec is for a clone: --on-cluster uses the cluster's own keys");
  }
  if (!options.on_cluster && !options.revoke_with.empty() && options.key_spec.empty()) {
    return UsageError(
        "--revoke-with on a clone needs --cmek-key-spec with a key for the drill: the cluster's own key "
        "would be "
        "taken away from the cluster too");
  }
  return options.key_spec.empty() ? OkStatus() : ParseKeySpec(options.key_spec, {}).status();
}

Status Drill(Session& session, const Arguments& arguments) {
  const DrillOptions options{arguments.Has("--on-cluster"), arguments.Text("--cmek-key-spec"),
                             arguments.Text("--revoke-with"), arguments.Text("--restore-with")};
  KEYHOLD_RETURN_IF_ERROR(CheckOptions(options));
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("CLUSTER")));
  if (options.on_cluster && !arguments.Has("--yes")) {
    KEYHOLD_RETURN_IF_ERROR(session.Confirm(
        "The drill revokes this cluster's own access: its SQL sessions end, and it is locked for a moment.",
        Text(cluster, "name")));
  }
  KEYHOLD_ASSIGN_OR_RETURN(json report, RunDrill(session, api, cluster, options));
  const std::string name = absl::StrCat("drill-", Text(cluster, "id"), "-", Text(report, "began_at"));
  KEYHOLD_ASSIGN_OR_RETURN(const SignedReport kept,
                           KeepSigned(session.environment().config_dir, name, report));
  if (session.output().json()) {
    session.output().Json({{"report", report},
                           {"path", kept.path},
                           {"signature", kept.signature},
                           {"public_key", kept.public_key}});
  } else {
    Print(session.output(), report);
    session.output().Field("report", kept.path);
    session.output().Field("verify with", VerifyCommand(kept));
  }
  if (report.value("passed", false)) return OkStatus();
  return Error(Cause::kFailedPrecondition, absl::StrCat("the drill failed: ", Text(report, "error")));
}

}  // namespace

std::vector<Command> CmekDrillCommands() {
  return {
      {"cmek drill",
       "Prove on a throwaway clone that revocation locks and restoration returns, and keep a signed report",
       "ccloud cmek drill demo\nccloud cmek drill demo --cmek-key-spec @drill-key.json"
       " --revoke-with 'aws kms disable-key --key-id KEY' --restore-with 'aws kms enable-key --key-id KEY'",
       {{"CLUSTER", "Name or id of the cluster"}},
       {{"--on-cluster", "", "On the cluster itself: it is locked for a moment"},
        {"--cmek-key-spec", "SPEC", "Keys for the clone (default: the cluster's own)"},
        {"--revoke-with", "COMMAND",
         "Take access away by this shell command, in the KMS (default: by the API)"},
        {"--restore-with", "COMMAND", "The command that gives it back"},
        {"--yes", "", "Do not ask for the cluster's name"}},
       Drill},
  };
}

}  // namespace keyhold::cli
