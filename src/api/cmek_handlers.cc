#include <optional>

#include "absl/strings/match.h"
#include "api/handlers.h"
#include "api/json_input.h"
#include "api/key_spec_input.h"
#include "api/views.h"

namespace keyhold::api {
namespace {

using control::ClusterView;
using control::CmekRegionSpec;
using nlohmann::json;

StatusOr<std::vector<CmekRegionSpec>> SpecsOf(const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader body(object, "");
  std::vector<CmekRegionSpec> specs = ReadRegionSpecs(body, "region_specs");
  KEYHOLD_RETURN_IF_ERROR(body.Finish());
  if (specs.empty()) return Error(Cause::kInvalidArgument, "region_specs is missing");
  return specs;
}

StatusOr<Reply> CmekReply(const Services& services, const StatusOr<ClusterView>& view) {
  if (!view.ok()) return view.status();
  return Reply::Json(CmekJson(services, *view));
}

// "serve:DURATION", "lock", or "default", which is nothing.
StatusOr<std::optional<absl::Duration>> ParseUnreachable(const std::string& text) {
  constexpr absl::string_view kServe = "serve:";
  absl::Duration grace;
  if (text == "default") return std::optional<absl::Duration>();
  if (text == "lock") return std::optional(absl::ZeroDuration());
  if (absl::StartsWith(text, kServe) && absl::ParseDuration(text.substr(kServe.size()), &grace) &&
      grace != absl::ZeroDuration()) {
    return std::optional(grace);
  }
  return Error(Cause::kInvalidArgument,
               "unreachable must be serve:DURATION (serve:15m, serve:90s), lock, or default");
}

const std::string& ClusterId(const Request& request) { return request.path.at("cluster_id"); }

}  // namespace

StatusOr<Reply> GetCmek(Services& services, const Request& request) {
  return CmekReply(services, services.clusters.Get(ClusterId(request)));
}

StatusOr<Reply> EnableCmek(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto specs, SpecsOf(request));
  return CmekReply(services, services.cmek.Enable(request.caller, ClusterId(request), specs));
}

StatusOr<Reply> UpdateCmek(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto specs, SpecsOf(request));
  return CmekReply(services, services.cmek.Rotate(request.caller, ClusterId(request), specs));
}

// Keyhold's own: a dry run. A report is an answer, whatever it says.
StatusOr<Reply> CheckCmek(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto specs, SpecsOf(request));
  KEYHOLD_ASSIGN_OR_RETURN(const auto checks, services.cmek.Check(ClusterId(request), specs));
  json regions = json::array();
  bool usable = true;
  for (const control::CmekRegionCheck& check : checks) {
    json region = wire::ToJson(check.report);
    region["region"] = check.region;
    region["key_spec"] = wire::ToJson(check.key_spec);
    usable = usable && check.report.usable;
    regions.push_back(std::move(region));
  }
  return Reply::Json({{"usable", usable}, {"regions", std::move(regions)}});
}

// Keyhold's own.
StatusOr<Reply> PutCmekPolicy(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  const std::string unreachable = reader.Text("unreachable").value_or("");
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  KEYHOLD_ASSIGN_OR_RETURN(const auto grace, ParseUnreachable(unreachable));
  return CmekReply(services, services.cmek.SetGrace(request.caller, ClusterId(request), grace));
}

StatusOr<Reply> ActOnCmek(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  const std::string action = reader.Text("action").value_or("");
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  if (action != "REVOKE") {
    return Error(Cause::kInvalidArgument,
                 "action must be REVOKE, the only one there is: CMEK cannot be disabled once it is enabled");
  }
  return CmekReply(services, services.cmek.Revoke(request.caller, ClusterId(request)));
}

}  // namespace keyhold::api
