#include "localcloud/azure/management.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "localcloud/azure/access.h"
#include "localcloud/azure/vaults.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr char kAuthorization[] = "/providers/Microsoft.Authorization/";

Json SubscriptionOf(AzureStore& store) {
  const std::string id = store.Setting("subscription_id");
  return {{"id", "/subscriptions/" + id},
          {"subscriptionId", id},
          {"tenantId", store.Setting("tenant_id")},
          {"displayName", "Keyhold local cloud"},
          {"state", "Enabled"},
          {"subscriptionPolicies", {{"quotaId", "PayAsYouGo_2014-09-01"}, {"spendingLimit", "Off"}}},
          {"authorizationSource", "RoleBased"}};
}

Json GroupOf(AzureStore& store, const std::string& name, const std::string& location) {
  return {{"id", absl::StrCat("/subscriptions/", store.Setting("subscription_id"), "/resourceGroups/", name)},
          {"name", name},
          {"type", "Microsoft.Resources/resourceGroups"},
          {"location", location},
          {"properties", {{"provisioningState", "Succeeded"}}}};
}

Status NoSuch(std::string_view code, std::string_view what) {
  return AzureError(404, code, absl::StrCat(std::string(what), " could not be found."));
}

StatusOr<Result> ServeGroup(Call& call, const std::string& name) {
  const auto location = call.store.GroupLocation(name);
  if (call.http.method == "PUT") {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string wanted, StringIn(call.body, "location"));
    if (wanted.empty()) return AzureError(400, "LocationRequired", "The location property is required.");
    call.store.PutGroup(name, location.value_or(wanted));
    return Result{location ? 200 : 201, GroupOf(call.store, name, location.value_or(wanted))};
  }
  if (!location) return NoSuch("ResourceGroupNotFound", absl::StrCat("Resource group '", name, "'"));
  if (call.http.method == "HEAD") return Result{204, nullptr};
  return Result{200, GroupOf(call.store, name, *location)};
}

StatusOr<Result> ListGroups(Call& call) {
  Json value = Json::array();
  for (const auto& [name, location] : call.store.Groups())
    value.push_back(GroupOf(call.store, name, location));
  return Result{200, {{"value", value}}};
}

Json AssignmentOf(AzureStore& store, const RoleAssignment& assignment) {
  const std::string definitions = absl::StrCat("/subscriptions/", store.Setting("subscription_id"),
                                               kAuthorization, "roleDefinitions/", assignment.role);
  return {{"id", absl::StrCat(assignment.scope, kAuthorization, "roleAssignments/", assignment.id)},
          {"name", assignment.id},
          {"type", "Microsoft.Authorization/roleAssignments"},
          {"properties",
           {{"roleDefinitionId", definitions},
            {"principalId", assignment.principal_id},
            {"principalType", "ServicePrincipal"},
            {"scope", assignment.scope}}}};
}

StatusOr<RoleAssignment> NewAssignment(const Call& call, const std::string& scope, const std::string& id) {
  const Json properties = call.body.value("properties", Json::object());
  if (!properties.is_object()) return BadParameter("Property 'properties' has invalid value");
  KEYHOLD_ASSIGN_OR_RETURN(std::string definition, StringIn(properties, "roleDefinitionId"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string principal, StringIn(properties, "principalId"));
  definition = RoleGuid(std::string_view(definition).substr(definition.rfind('/') + 1));
  if (definition.empty() || principal.empty()) {
    return AzureError(
        400, "InvalidRoleDefinitionId",
        "The local cloud knows Key Vault's built-in roles; give roleDefinitionId and principalId.");
  }
  return RoleAssignment{id, scope, definition, principal};
}

StatusOr<Result> ServeAssignment(Call& call, const std::string& scope, const std::string& id) {
  if (call.http.method == "PUT") {
    KEYHOLD_ASSIGN_OR_RETURN(const RoleAssignment assignment, NewAssignment(call, scope, id));
    call.store.PutAssignment(assignment);
    return Result{201, AssignmentOf(call.store, assignment)};
  }
  for (const RoleAssignment& assignment : call.store.Assignments()) {
    if (assignment.id != id) continue;
    if (call.http.method == "DELETE") call.store.DeleteAssignment(id);
    return Result{200, AssignmentOf(call.store, assignment)};
  }
  if (call.http.method == "DELETE") return Result{204, nullptr};
  return NoSuch("RoleAssignmentNotFound", absl::StrCat("The role assignment '", id, "'"));
}

StatusOr<Result> ListAssignments(Call& call, const std::string& scope) {
  Json value = Json::array();
  for (const RoleAssignment& assignment : call.store.Assignments()) {
    const bool related =
        absl::StartsWith(assignment.scope, scope) || absl::StartsWith(scope, assignment.scope);
    if (related) value.push_back(AssignmentOf(call.store, assignment));
  }
  return Result{200, {{"value", value}}};
}

StatusOr<Result> ListDefinitions(Call& call) {
  const std::string filter = call.Query("$filter");
  Json value = Json::array();
  for (const std::string& guid : RoleGuids()) {
    const std::string name(RoleName(guid));
    if (!filter.empty() && !absl::StrContains(filter, "'" + name + "'")) continue;
    value.push_back({{"id", absl::StrCat("/subscriptions/", call.store.Setting("subscription_id"),
                                         kAuthorization, "roleDefinitions/", guid)},
                     {"name", guid},
                     {"type", "Microsoft.Authorization/roleDefinitions"},
                     {"properties", {{"roleName", name}, {"type", "BuiltInRole"}}}});
  }
  return Result{200, {{"value", value}}};
}

// What hangs below any resource: SCOPE/providers/Microsoft.Authorization/KIND[/ID].
StatusOr<Result> ServeAuthorization(Call& call, size_t providers) {
  const std::vector<std::string> scope_path(call.path.begin(),
                                            call.path.begin() + static_cast<ptrdiff_t>(providers));
  const std::string scope = absl::AsciiStrToLower("/" + absl::StrJoin(scope_path, "/"));
  const std::string kind = absl::AsciiStrToLower(call.path[providers + 2]);
  const bool one = call.path.size() > providers + 3;
  if (kind == "roledefinitions") return ListDefinitions(call);
  if (kind != "roleassignments") return NotBuilt("Microsoft.Authorization/" + kind);
  return one ? ServeAssignment(call, scope, absl::AsciiStrToLower(call.path[providers + 3]))
             : ListAssignments(call, scope);
}

// The place of "providers" before "Microsoft.Authorization", or 0.
size_t AuthorizationAt(const Call& call) {
  for (size_t i = 1; i + 2 < call.path.size(); ++i) {
    if (absl::EqualsIgnoreCase(call.path[i], "providers") &&
        absl::EqualsIgnoreCase(call.path[i + 1], "Microsoft.Authorization")) {
      return i;
    }
  }
  return 0;
}

StatusOr<Result> ServeTenants(Call& call) {
  const std::string tenant = call.store.Setting("tenant_id");
  return Result{200, {{"value", {{{"id", "/tenants/" + tenant}, {"tenantId", tenant}}}}}};
}

}  // namespace

StatusOr<Result> ServeManagement(Call& call) {
  call.record.action = absl::StrCat(call.http.method, " /", absl::StrJoin(call.path, "/"));
  if (call.Is("GET", {"tenants"})) return ServeTenants(call);
  if (call.Is("GET", {"subscriptions"})) {
    // What a caller may see: an owner the subscription, others nothing.
    Json value = Json::array();
    if (call.caller.owner) value.push_back(SubscriptionOf(call.store));
    return Result{200, {{"value", value}}};
  }
  if (!call.caller.owner) {
    return AzureError(403, "AuthorizationFailed",
                      absl::StrCat("The client '", call.caller.client_id, "' with object id '",
                                   call.caller.object_id, "' does not have authorization to perform action '",
                                   call.http.method, " /", absl::StrJoin(call.path, "/"), "'."));
  }
  if (call.path.size() < 2 || call.path[1] != call.store.Setting("subscription_id")) {
    return NoSuch("SubscriptionNotFound", "The subscription");
  }
  if (const size_t at = AuthorizationAt(call); at > 0) return ServeAuthorization(call, at);
  if (call.Is("GET", {"subscriptions", "*"})) return Result{200, SubscriptionOf(call.store)};
  if (call.Is("GET", {"subscriptions", "*", "resourcegroups"})) return ListGroups(call);
  if (call.path.size() == 4 && absl::EqualsIgnoreCase(call.path[2], "resourcegroups")) {
    return ServeGroup(call, call.path[3]);
  }
  return ServeVaults(call);
}

}  // namespace keyhold::localcloud::azure
