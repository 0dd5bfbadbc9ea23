#include "absl/strings/str_cat.h"
#include "api/handlers.h"
#include "api/json_input.h"
#include "api/views.h"

namespace keyhold::api {
namespace {

using control::ClusterView;
using control::CmekRegionSpec;
using nlohmann::json;

constexpr size_t kMaxRegionSpecs = 64;

wire::KeySpec ReadKeySpec(ObjectReader& parent) {
  wire::KeySpec spec;
  const json* value = parent.Value("key_spec");
  if (value == nullptr) {
    parent.Fail(Error(Cause::kInvalidArgument, absl::StrCat(parent.PathOf("key_spec"), " is missing")));
    return spec;
  }
  ObjectReader reader(*value, parent.PathOf("key_spec"));
  spec.type = reader.Text("type").value_or("");
  spec.uri = reader.Text("uri").value_or("");
  spec.auth_principal = reader.Text("auth_principal").value_or("");
  parent.Fail(reader.Finish());
  return spec;
}

StatusOr<std::vector<CmekRegionSpec>> ReadRegionSpecs(const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader body(object, "");
  const json* list = body.Value("region_specs");
  KEYHOLD_RETURN_IF_ERROR(body.Finish());
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > kMaxRegionSpecs) {
    return Error(Cause::kInvalidArgument,
                 R"(region_specs must be a list: [{"region": "us-east-1", "key_spec": {"type", "uri"}}])");
  }
  std::vector<CmekRegionSpec> specs;
  for (const json& element : *list) {
    ObjectReader reader(element, absl::StrCat("region_specs[", specs.size(), "]"));
    CmekRegionSpec spec;
    spec.region = reader.Text("region").value_or("");
    spec.key_spec = ReadKeySpec(reader);
    KEYHOLD_RETURN_IF_ERROR(reader.Finish());
    specs.push_back(std::move(spec));
  }
  return specs;
}

StatusOr<Reply> CmekReply(const StatusOr<ClusterView>& view) {
  if (!view.ok()) return view.status();
  return Reply::Json(CmekJson(*view));
}

const std::string& ClusterId(const Request& request) { return request.path.at("cluster_id"); }

}  // namespace

StatusOr<Reply> GetCmek(Services& services, const Request& request) {
  return CmekReply(services.clusters.Get(ClusterId(request)));
}

StatusOr<Reply> EnableCmek(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto specs, ReadRegionSpecs(request));
  return CmekReply(services.cmek.Enable(request.caller, ClusterId(request), specs));
}

StatusOr<Reply> UpdateCmek(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto specs, ReadRegionSpecs(request));
  return CmekReply(services.cmek.Rotate(request.caller, ClusterId(request), specs));
}

// Keyhold's own: a dry run. A report is an answer, whatever it says.
StatusOr<Reply> CheckCmek(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto specs, ReadRegionSpecs(request));
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

StatusOr<Reply> ActOnCmek(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  const std::string action = reader.Text("action").value_or("");
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  if (action != "REVOKE") {
    return Error(Cause::kInvalidArgument,
                 "action must be REVOKE, the only one there is: CMEK cannot be disabled once it is enabled");
  }
  return CmekReply(services.cmek.Revoke(request.caller, ClusterId(request)));
}

}  // namespace keyhold::api
