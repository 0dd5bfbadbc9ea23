// The control plane's records as the Cloud API's JSON. docs/api.md shows them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "api/services.h"
#include "control/state.h"

namespace keyhold::api {

// The engine's version, as cockroach_version and cluster-versions tell it.
inline constexpr char kEngineVersion[] = "v15";

nlohmann::json ClusterJson(const Services& services, const control::ClusterView& view);

// CMEKClusterInfo, and "policy".
nlohmann::json CmekJson(const Services& services, const control::ClusterView& view);

// Keyhold's own: the recovery key, and how far each region has taken it up.
nlohmann::json RecoveryJson(const control::ClusterView& view);

// "serve:15m", or "lock" for zero: what nodes do while their KMS does not answer.
std::string UnreachableText(absl::Duration grace);

nlohmann::json AllowlistEntryJson(const control::AllowlistEntry& entry);
nlohmann::json ApiKeyJson(const control::ApiKey& key);
nlohmann::json AuditEventJson(const control::AuditEvent& event);
nlohmann::json OrganizationJson(const control::Organization& organization, const Principals& principals);
nlohmann::json ServiceAccountJson(const control::ServiceAccount& account,
                                  const std::vector<control::RoleGrant>& grants);
// BuiltInRole objects; the organization's have the empty id.
nlohmann::json RolesJson(const std::vector<control::RoleGrant>& grants);

// Where SQL is answered in `region` (empty: the primary); empty until a node has told. Regions of one machine
// differ by the port.
struct SqlAddress {
  std::string host;
  std::string port;
};
SqlAddress SqlAddressOf(const control::ClusterView& view, const std::string& region = "");

}  // namespace keyhold::api
