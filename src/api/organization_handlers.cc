#include "control/organization.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/handlers.h"
#include "api/json_input.h"
#include "api/page.h"
#include "api/views.h"
#include "control/regions.h"

namespace keyhold::api {
namespace {

using nlohmann::json;

std::string KeyOfTime(absl::Time time, const std::string& id) {
  return absl::StrCat(absl::FormatTime("%Y-%m-%dT%H:%M:%E6S", time, absl::UTCTimeZone()), " ", id);
}

StatusOr<Reply> ApiKeyReply(const StatusOr<control::ApiKey>& key) {
  if (!key.ok()) return key.status();
  return Reply::Json(ApiKeyJson(*key));
}

StatusOr<absl::Time> StartOf(const Request& request) {
  const std::string text = request.Query("starting_from");
  absl::Time time = absl::InfinitePast();
  std::string error;
  if (!text.empty() && !absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return Error(Cause::kInvalidArgument, "starting_from must be a time such as 2026-01-31T12:00:00Z");
  }
  return time;
}

}  // namespace

StatusOr<Reply> GetOrganization(Services& services, const Request&) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto organization, control::GetOrganization(services.core));
  return Reply::Json(OrganizationJson(organization, services.principals));
}

StatusOr<Reply> ListApiKeys(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto keys, services.api_keys.List(request.Query("service_account_id")));
  std::vector<Keyed> items;
  for (const auto& key : keys) items.push_back({KeyOfTime(key.created_at, key.id), ApiKeyJson(key)});
  return Paged(request, "api_keys", std::move(items));
}

StatusOr<Reply> CreateApiKey(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  const std::string name = reader.Text("name").value_or("");
  const std::string account = reader.Text("service_account_id").value_or("");
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  KEYHOLD_ASSIGN_OR_RETURN(const auto made, services.api_keys.Create(request.caller, account, name));
  return Reply::Json({{"api_key", ApiKeyJson(made.key)}, {"secret", made.text.ExposeText()}});
}

StatusOr<Reply> GetApiKey(Services& services, const Request& request) {
  return ApiKeyReply(services.api_keys.Get(request.path.at("id")));
}

StatusOr<Reply> UpdateApiKey(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  const auto name = reader.Text("name");
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  if (!name) return ApiKeyReply(services.api_keys.Get(request.path.at("id")));
  return ApiKeyReply(services.api_keys.Rename(request.caller, request.path.at("id"), *name));
}

StatusOr<Reply> DeleteApiKey(Services& services, const Request& request) {
  return ApiKeyReply(services.api_keys.Delete(request.caller, request.path.at("id")));
}

StatusOr<Reply> ListAuditLogs(Services& services, const Request& request) {
  control::AuditPage page;
  KEYHOLD_ASSIGN_OR_RETURN(const int limit, LimitOf(request, "limit"));
  KEYHOLD_ASSIGN_OR_RETURN(page.descending, DescendingOf(request, "sort_order", false));
  KEYHOLD_ASSIGN_OR_RETURN(page.starting_from, StartOf(request));
  page.limit = limit + 1;
  std::vector<control::AuditEvent> events;
  KEYHOLD_RETURN_IF_ERROR(services.core.store.Read([&](control::Tables& tables) {
    events = tables.audit.List(page);
    return OkStatus();
  }));
  json reply = {{"entries", json::array()}};
  const bool more = static_cast<int>(events.size()) > limit;
  if (more) events.pop_back();
  // Forwards there may always come more; backwards there is an end.
  if (!events.empty() && (more || !page.descending)) {
    reply["next_starting_from"] = control::Rfc3339(events.back().created_at);
  }
  for (const auto& event : events) reply["entries"].push_back(AuditEventJson(event));
  return Reply::Json(reply);
}

StatusOr<Reply> ListAvailableRegions(Services&, const Request& request) {
  const std::string wanted = request.Query("provider");
  const bool serverless = request.Query("serverless") == "true";
  const auto clouds = control::Clouds();
  if (!wanted.empty() && std::find(clouds.begin(), clouds.end(), wanted) == clouds.end()) {
    return Error(Cause::kInvalidArgument, "provider must be AWS, GCP or AZURE");
  }
  std::vector<Keyed> items;
  for (const std::string_view cloud : clouds) {
    if (!wanted.empty() && cloud != wanted) continue;
    for (const control::CloudRegion& region : control::RegionsOf(cloud)) {
      items.push_back({absl::StrCat(std::string(cloud), " ", std::string(region.name)),
                       {{"name", region.name},
                        {"location", region.location},
                        {"provider", cloud},
                        {"serverless", serverless},
                        {"distance", 0}}});
    }
  }
  return Paged(request, "regions", std::move(items));
}

StatusOr<Reply> ListClusterVersions(Services&, const Request& request) {
  // https://www.postgresql.org/support/versioning/
  return Paged(request, "versions",
               {{kEngineVersion,
                 {{"version", kEngineVersion},
                  {"release_type", "REGULAR"},
                  {"support_status", "SUPPORTED"},
                  {"support_end", "2027-11-11T00:00:00Z"},
                  {"allowed_upgrades", json::array()}}}});
}

}  // namespace keyhold::api
