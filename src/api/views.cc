#include "api/views.h"

#include <algorithm>

#include "absl/strings/str_split.h"
#include "control/recovery.h"
#include "control/roles.h"

namespace keyhold::api {
namespace {

using control::CmekRegion;
using control::Rfc3339;
using nlohmann::json;

json TroubleJson(const wire::Trouble& trouble) {
  return {{"cause", trouble.cause}, {"message", trouble.message}, {"since", trouble.since}};
}

json KeyInfoJson(const wire::KeyInfo& key) {
  json out = {{"spec", wire::ToJson(key.spec)}, {"status", key.status}, {"user_message", key.user_message}};
  if (!key.created_at.empty()) out["created_at"] = key.created_at;
  if (!key.updated_at.empty()) out["updated_at"] = key.updated_at;
  out["may_be_destroyed"] = key.may_be_destroyed;
  if (key.evidence) out["evidence"] = wire::ToJson(*key.evidence);
  if (key.version) out["version"] = wire::ToJson(*key.version);
  return out;
}

json RegionInfos(const control::CmekInfo& info) {
  json regions = json::array();
  for (const CmekRegion& region : info.regions) {
    json keys = json::array();
    for (const wire::KeyInfo& key : region.keys) keys.push_back(KeyInfoJson(key));
    regions.push_back({{"region", region.region}, {"status", region.status}, {"key_infos", std::move(keys)}});
    if (region.reencryption) regions.back()["reencryption"] = wire::ToJson(*region.reencryption);
  }
  return regions;
}

json CmekConfigJson(const Services& services, const control::ClusterView& view) {
  const control::CmekInfo info = control::CmekOf(view);
  json config = CmekJson(services, view);
  if (!info.regions.empty() && !info.regions.front().keys.empty()) {
    config["key_spec"] = wire::ToJson(info.regions.front().keys.front().spec);
  }
  return config;
}

json ConfigJson(const control::Cluster& cluster) {
  if (cluster.plan != control::Plan::kAdvanced) {
    return {{"serverless", {{"routing_id", cluster.name}, {"upgrade_type", "AUTOMATIC"}}}};
  }
  const control::Hardware& hardware = cluster.hardware;
  return {{"dedicated",
           {{"machine_type", hardware.machine_type},
            {"num_virtual_cpus", hardware.num_virtual_cpus},
            {"storage_gib", hardware.storage_gib},
            {"memory_gib", 4.0 * static_cast<double>(hardware.num_virtual_cpus)},
            {"disk_iops", hardware.disk_iops}}}};
}

json RegionJson(const control::ClusterView& view, const control::Region& region) {
  const auto nodes = std::count_if(view.nodes.begin(), view.nodes.end(),
                                   [&](const control::Node& node) { return node.region == region.name; });
  const SqlAddress address = SqlAddressOf(view, region.name);
  json out = {{"name", region.name},      {"sql_dns", address.host},
              {"sql_port", address.port}, {"ui_dns", ""},
              {"internal_dns", ""},       {"private_endpoint_dns", ""},
              {"node_count", nodes},      {"primary", region.ordinal == 0}};
  if (const auto lock = control::LockOfRegion(view, region.name)) out["lock"] = TroubleJson(*lock);
  return out;
}

json RegionsJson(const control::ClusterView& view) {
  json regions = json::array();
  for (const control::Region& region : view.regions) regions.push_back(RegionJson(view, region));
  return regions;
}

// ACCOUNT of arn:aws:iam::ACCOUNT:user/NAME; PROJECT of NAME@PROJECT.iam.gserviceaccount.com.
std::string AccountOf(const std::string& cloud, const Principals& principals) {
  if (cloud == "AWS") {
    const std::vector<std::string> parts = absl::StrSplit(principals.aws_user_arn, ':');
    return parts.size() > 4 ? parts[4] : "";
  }
  if (cloud != "GCP") return "";
  const std::vector<std::string> parts =
      absl::StrSplit(principals.gcp_service_account, absl::ByAnyChar("@."));
  return parts.size() > 1 ? parts[1] : "";
}

void AddTroubles(const control::ClusterView& view, json& cluster) {
  if (const auto lock = control::LockOf(view)) cluster["lock"] = TroubleJson(*lock);
  if (const auto warning = control::WarningOf(view)) {
    cluster["warning"] = TroubleJson(warning->trouble);
    cluster["warning"]["locks_at"] = warning->locks_at;
  }
}

}  // namespace

std::string UnreachableText(absl::Duration grace) {
  return grace == absl::ZeroDuration() ? "lock" : "serve:" + absl::FormatDuration(grace);
}

json ClusterJson(const Services& services, const control::ClusterView& view) {
  const control::Cluster& cluster = view.cluster;
  const Principals& principals = services.principals;
  const std::string host = SqlAddressOf(view).host;
  json out = {{"id", cluster.id},
              {"name", cluster.name},
              {"plan", PlanName(cluster.plan)},
              {"cloud_provider", cluster.cloud},
              {"state", control::StateOf(view)},
              {"operation_status", control::OperationStatusOf(view)},
              {"cockroach_version", kEngineVersion},
              {"upgrade_status", "FINALIZED"},
              {"account_id", AccountOf(cluster.cloud, principals)},
              {"creator_id", cluster.creator_id},
              {"is_customer_cloud_account", false},
              {"cidr_range", ""},
              {"parent_id", "root"},
              {"config", ConfigJson(cluster)},
              {"regions", RegionsJson(view)},
              {"sql_dns", host},
              {"network_visibility", cluster.private_network ? "PRIVATE" : "PUBLIC"},
              {"delete_protection", cluster.delete_protection ? "ENABLED" : "DISABLED"},
              {"labels", cluster.labels},
              {"egress_traffic_policy", "ALLOW_ALL"},
              {"created_at", Rfc3339(cluster.created_at)},
              {"updated_at", Rfc3339(cluster.updated_at)},
              {"advanced_security_add_on", cluster.add_on},
              {"cmek_config", CmekConfigJson(services, view)}};
  if (cluster.lifecycle == control::Lifecycle::kDeleted) out["deleted_at"] = Rfc3339(cluster.deleted_at);
  if (cluster.cloud == "AZURE") out["azure_cluster_identity_client_id"] = principals.azure_client_id;
  AddTroubles(view, out);
  return out;
}

json CmekJson(const Services& services, const control::ClusterView& view) {
  const control::CmekInfo info = control::CmekOf(view);
  return {{"status", info.status},
          {"region_infos", RegionInfos(info)},
          {"recovery", RecoveryJson(view)},
          {"policy",
           {{"unreachable", UnreachableText(services.fleet.GraceOf(view.cluster))},
            {"is_default", !view.cluster.unreachable_grace.has_value()}}}};
}

json RecoveryJson(const control::ClusterView& view) {
  json out = {{"regions", json::array()}};
  for (const control::RegionRecovery& region : control::RecoveryOf(view)) {
    out["regions"].push_back({{"region", region.region}, {"in_force", region.in_force}});
    json& told = out["regions"].back();
    if (!region.sealed_to.empty()) told["sealed_to"] = region.sealed_to;
    if (!region.used_at.empty()) told["used_at"] = region.used_at;
  }
  if (const auto& key = view.cluster.recovery) {
    out["key"] = {{"id", key->key_id},
                  {"public_key", key->public_key},
                  {"threshold", key->threshold},
                  {"shares", key->shares},
                  {"created_at", Rfc3339(key->created_at)}};
  }
  return out;
}

json AllowlistEntryJson(const control::AllowlistEntry& entry) {
  return {{"cidr_ip", entry.cidr_ip},
          {"cidr_mask", entry.cidr_mask},
          {"name", entry.name},
          {"sql", entry.sql},
          {"ui", entry.ui}};
}

json ApiKeyJson(const control::ApiKey& key) {
  return {{"id", key.id},
          {"name", key.name},
          {"service_account_id", key.service_account_id},
          {"created_at", Rfc3339(key.created_at)}};
}

json AuditEventJson(const control::AuditEvent& event) {
  return {{"id", event.id},
          {"created_at", Rfc3339(event.created_at)},
          {"action", event.action},
          {"source", event.source},
          {"cluster_id", event.cluster_id},
          {"cluster_name", event.cluster_name},
          {"service_account_name", event.service_account_name},
          {"user_email", ""},
          {"metadata", {{"ip_address", event.ip_address}}},
          {"payload", event.payload},
          {"error", event.error}};
}

json OrganizationJson(const control::Organization& organization, const Principals& principals) {
  json out = {{"id", organization.id},
              {"name", organization.name},
              {"label", organization.label},
              {"created_at", Rfc3339(organization.created_at)}};
  json& of = out["cockroach_cloud_service_principals"];
  of = json::object();
  if (!principals.aws_user_arn.empty()) of["aws"] = {{"user_arn", principals.aws_user_arn}};
  if (!principals.gcp_service_account.empty()) {
    of["gcp"] = {{"service_account_email", principals.gcp_service_account}};
  }
  if (!principals.azure_client_id.empty()) {
    of["azure"] = {{"app_registration_client_id", principals.azure_client_id},
                   {"app_registration_name", "Keyhold"}};
  }
  return out;
}

json RolesJson(const std::vector<control::RoleGrant>& grants) {
  json roles = json::array();
  for (const control::RoleGrant& grant : grants) {
    const bool on_cluster = !grant.cluster_id.empty();
    roles.push_back(
        {{"name", control::RoleName(grant.role)},
         {"resource", {{"type", on_cluster ? "CLUSTER" : "ORGANIZATION"}, {"id", grant.cluster_id}}}});
  }
  return roles;
}

json ServiceAccountJson(const control::ServiceAccount& account,
                        const std::vector<control::RoleGrant>& grants) {
  return {{"id", account.id},
          {"name", account.name},
          {"description", account.description},
          {"creator_name", account.creator_name},
          {"created_at", Rfc3339(account.created_at)},
          {"roles", RolesJson(grants)},
          {"group_roles", json::array()}};
}

SqlAddress SqlAddressOf(const control::ClusterView& view, const std::string& region) {
  const std::string& wanted = region.empty() && !view.regions.empty() ? view.regions.front().name : region;
  for (const control::Node& node : view.nodes) {
    const std::string& address = node.status.sql_address;
    const size_t colon = address.rfind(':');
    if (node.region != wanted || colon == std::string::npos) continue;
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    return {std::move(host), address.substr(colon + 1)};
  }
  return {};
}

}  // namespace keyhold::api
