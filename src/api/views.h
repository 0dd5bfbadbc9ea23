// The control plane's records as the Cloud API's JSON. docs/api.md shows them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "control/state.h"

namespace keyhold::api {

// The engine's version, as cockroach_version and cluster-versions tell it.
inline constexpr char kEngineVersion[] = "v15";

// `aws_principal_arn`: the platform's, for account_id.
nlohmann::json ClusterJson(const control::ClusterView& view, const std::string& aws_principal_arn);

// CMEKClusterInfo.
nlohmann::json CmekJson(const control::ClusterView& view);

nlohmann::json AllowlistEntryJson(const control::AllowlistEntry& entry);
nlohmann::json ApiKeyJson(const control::ApiKey& key);
nlohmann::json AuditEventJson(const control::AuditEvent& event);
nlohmann::json OrganizationJson(const control::Organization& organization,
                                const std::string& aws_principal_arn);
nlohmann::json ServiceAccountJson(const control::ServiceAccount& account);

// Where the cluster's SQL port is; empty until a node has told.
struct SqlAddress {
  std::string host;
  std::string port;
};
SqlAddress SqlAddressOf(const control::ClusterView& view);

}  // namespace keyhold::api
