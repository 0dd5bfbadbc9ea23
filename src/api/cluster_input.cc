#include "api/cluster_input.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/json_input.h"
#include "api/key_spec_input.h"
#include "control/regions.h"

namespace keyhold::api {
namespace {

using control::ClusterChange;
using control::ClusterSpec;
using control::Hardware;
using control::Plan;
using nlohmann::json;

Status NotBuilt(const std::string& field) {
  return Error(Cause::kUnimplemented, absl::StrCat(field, " is not built yet: leave it out"));
}

// Fields of the Cloud API that Keyhold has nothing for: an error unless they say what is so anyway.
void RefuseValue(ObjectReader& reader, const char* name) {
  if (reader.Value(name) != nullptr) reader.Fail(NotBuilt(reader.PathOf(name)));
}

void RefuseFlag(ObjectReader& reader, const char* name) {
  if (reader.Flag(name).value_or(false)) reader.Fail(NotBuilt(reader.PathOf(name)));
}

// One of `values`; the first is false, the second true.
std::optional<bool> Choice(ObjectReader& reader, const char* name, const char* off, const char* on) {
  const auto text = reader.Text(name);
  if (!text) return std::nullopt;
  if (*text == off || *text == on) return *text == on;
  reader.Fail(
      Error(Cause::kInvalidArgument, absl::StrCat(reader.PathOf(name), " must be ", off, " or ", on)));
  return std::nullopt;
}

std::optional<Plan> ReadPlan(ObjectReader& reader) {
  const auto text = reader.Text("plan");
  if (!text) return std::nullopt;
  const auto plan = control::PlanFromName(*text);
  if (!plan) {
    reader.Fail(Error(Cause::kInvalidArgument,
                      absl::StrCat(reader.PathOf("plan"), " must be BASIC, STANDARD or ADVANCED")));
  }
  return plan;
}

void ReadMachine(ObjectReader& parent, Hardware& hardware) {
  const json* value = parent.Value("machine_spec");
  if (value == nullptr) return;
  ObjectReader reader(*value, parent.PathOf("machine_spec"));
  hardware.machine_type = reader.Text("machine_type").value_or(hardware.machine_type);
  hardware.num_virtual_cpus = reader.Number("num_virtual_cpus", 1, 1024).value_or(hardware.num_virtual_cpus);
  parent.Fail(reader.Finish());
}

std::optional<Hardware> ReadHardware(ObjectReader& parent) {
  const json* value = parent.Value("hardware");
  if (value == nullptr) return std::nullopt;
  ObjectReader reader(*value, parent.PathOf("hardware"));
  Hardware hardware;
  ReadMachine(reader, hardware);
  hardware.storage_gib = reader.Number("storage_gib", 1, 65536).value_or(hardware.storage_gib);
  hardware.disk_iops = reader.Number("disk_iops", 0, 1'000'000).value_or(0);
  parent.Fail(reader.Finish());
  return hardware;
}

std::vector<std::string> ReadRegionNodes(ObjectReader& parent) {
  std::vector<std::string> regions;
  const json* value = parent.Value("region_nodes");
  if (value == nullptr) return regions;
  ObjectReader reader(*value, parent.PathOf("region_nodes"));
  if (value->is_object()) {
    for (const auto& item : value->items()) {
      regions.push_back(item.key());
      if (reader.Number(item.key().c_str(), 1, 1000).value_or(1) > 1) {
        reader.Fail(Error(Cause::kUnimplemented,
                          "regions of several nodes are not built yet: ask for 1 node in each region"));
      }
    }
  }
  parent.Fail(reader.Finish());
  return regions;
}

void ReadDedicated(const json& value, ObjectReader& parent, ClusterSpec& spec) {
  ObjectReader reader(value, parent.PathOf("dedicated"));
  spec.regions = ReadRegionNodes(reader);
  spec.hardware = ReadHardware(reader).value_or(Hardware{});
  spec.private_network = Choice(reader, "network_visibility", "PUBLIC", "PRIVATE").value_or(false);
  RefuseFlag(reader, "restrict_egress_traffic");
  RefuseFlag(reader, "supports_cluster_virtualization");
  (void)reader.Text("cidr_range");
  (void)reader.Text("cockroach_version");
  parent.Fail(reader.Finish());
}

void ReadUsageLimits(ObjectReader& parent) {
  const json* value = parent.Value("usage_limits");
  if (value == nullptr) return;
  ObjectReader reader(*value, parent.PathOf("usage_limits"));
  (void)reader.Text("provisioned_virtual_cpus");
  (void)reader.Text("request_unit_limit");
  (void)reader.Text("storage_mib_limit");
  parent.Fail(reader.Finish());
}

void ReadServerless(const json& value, ObjectReader& parent, ClusterSpec& spec) {
  ObjectReader reader(value, parent.PathOf("serverless"));
  spec.regions = TextList(reader, "regions");
  const std::string primary = reader.Text("primary_region").value_or("");
  std::stable_partition(spec.regions.begin(), spec.regions.end(),
                        [&](const std::string& region) { return region == primary; });
  spec.empty_allowlist = reader.Flag("with_empty_ip_allowlist").value_or(false);
  (void)reader.Text("upgrade_type");
  ReadUsageLimits(reader);
  parent.Fail(reader.Finish());
}

Status CheckPlanFits(Plan plan, bool dedicated, bool serverless) {
  if (dedicated && serverless) {
    return Error(Cause::kInvalidArgument, "spec has both dedicated and serverless: give one");
  }
  if (plan == Plan::kAdvanced && serverless) {
    return Error(Cause::kInvalidArgument,
                 "an ADVANCED cluster is described by spec.dedicated, not serverless");
  }
  if (plan != Plan::kAdvanced && dedicated) {
    return Error(Cause::kInvalidArgument,
                 absl::StrCat("a ", std::string(control::PlanName(plan)),
                              " cluster is described by spec.serverless, not dedicated"));
  }
  return OkStatus();
}

void ReadSpec(const json& value, ObjectReader& parent, ClusterSpec& spec) {
  ObjectReader reader(value, parent.PathOf("spec"));
  const json* dedicated = reader.Value("dedicated");
  const json* serverless = reader.Value("serverless");
  if (dedicated != nullptr) ReadDedicated(*dedicated, reader, spec);
  if (serverless != nullptr) ReadServerless(*serverless, reader, spec);
  spec.plan = ReadPlan(reader).value_or(serverless != nullptr ? Plan::kBasic : Plan::kAdvanced);
  spec.add_on = reader.Flag("advanced_security_add_on").value_or(false);
  spec.delete_protection = Choice(reader, "delete_protection", "DISABLED", "ENABLED").value_or(false);
  spec.labels = TextMap(reader, "labels");
  RefuseValue(reader, "customer_cloud_account");
  if (reader.Text("parent_id").value_or("root") != "root") reader.Fail(NotBuilt(reader.PathOf("parent_id")));
  reader.Fail(CheckPlanFits(spec.plan, dedicated != nullptr, serverless != nullptr));
  parent.Fail(reader.Finish());
}

void ReadDedicatedChange(ObjectReader& parent, ClusterChange& change) {
  const json* value = parent.Value("dedicated");
  if (value == nullptr) return;
  ObjectReader reader(*value, parent.PathOf("dedicated"));
  change.hardware = ReadHardware(reader);
  if (reader.Value("region_nodes") != nullptr) change.regions = ReadRegionNodes(reader);
  change.cmek_region_specs = ReadRegionSpecs(reader, "cmek_region_specs");
  parent.Fail(reader.Finish());
}

}  // namespace

StatusOr<ClusterSpec> ReadClusterSpec(std::string_view body) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(body));
  ObjectReader reader(object, "");
  ClusterSpec spec;
  spec.name = reader.Text("name").value_or("");
  spec.cloud = reader.Text("provider").value_or("");
  const auto clouds = control::Clouds();
  if (std::find(clouds.begin(), clouds.end(), spec.cloud) == clouds.end()) {
    reader.Fail(Error(Cause::kInvalidArgument, "provider must be AWS, GCP or AZURE"));
  }
  const json* value = reader.Value("spec");
  if (value != nullptr) {
    ReadSpec(*value, reader, spec);
  } else {
    reader.Fail(Error(Cause::kInvalidArgument, "spec is missing"));
  }
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return spec;
}

StatusOr<ClusterChange> ReadClusterChange(std::string_view body) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(body));
  ObjectReader reader(object, "");
  ClusterChange change;
  change.plan = ReadPlan(reader);
  change.add_on = reader.Flag("advanced_security_add_on");
  change.delete_protection = Choice(reader, "delete_protection", "DISABLED", "ENABLED");
  if (object.contains("labels")) change.labels = TextMap(reader, "labels");
  ReadDedicatedChange(reader, change);
  for (const char* name : {"cockroach_version", "upgrade_status", "serverless", "parent_id"}) {
    RefuseValue(reader, name);
  }
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return change;
}

}  // namespace keyhold::api
