#include <map>

#include "absl/strings/str_cat.h"
#include "api/handlers.h"
#include "api/json_input.h"
#include "api/page.h"
#include "api/views.h"
#include "control/roles.h"

namespace keyhold::api {
namespace {

using control::RoleGrant;
using nlohmann::json;

constexpr size_t kMaxRoles = 1000;

const std::string& UserId(const Request& request) { return request.path.at("user_id"); }

StatusOr<RoleGrant> MakeGrant(const std::string& account_id, const std::string& role, const std::string& type,
                              const std::string& resource_id) {
  const auto known = control::RoleFromName(role);
  if (!known)
    return Error(Cause::kInvalidArgument, "the role's name is none; docs/api.md lists those there are");
  // There is one organization, so that its id adds nothing.
  if (type == "ORGANIZATION") return RoleGrant{account_id, *known, ""};
  if (type == "FOLDER")
    return Error(Cause::kUnimplemented, "folders are not built yet: give roles on clusters");
  if (type != "CLUSTER") {
    return Error(Cause::kInvalidArgument, "a resource's type must be ORGANIZATION, CLUSTER or FOLDER");
  }
  if (resource_id.empty())
    return Error(Cause::kInvalidArgument, "a resource of type CLUSTER needs the cluster's id");
  return RoleGrant{account_id, *known, resource_id};
}

// BuiltInRole.
StatusOr<RoleGrant> ReadRole(const json& value, const std::string& path, const std::string& account_id) {
  ObjectReader reader(value, path);
  const std::string name = reader.Text("name").value_or("");
  std::string type, id;
  if (const json* resource = reader.Value("resource"); resource != nullptr) {
    ObjectReader inner(*resource, reader.PathOf("resource"));
    type = inner.Text("type").value_or("");
    id = inner.Text("id").value_or("");
    reader.Fail(inner.Finish());
  }
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return MakeGrant(account_id, name, type, id);
}

StatusOr<std::vector<RoleGrant>> ReadRoles(ObjectReader& reader, const std::string& account_id) {
  const json* list = reader.Value("roles");
  if (list == nullptr || !list->is_array() || list->size() > kMaxRoles) {
    return Error(
        Cause::kInvalidArgument,
        R"(roles must be a list: [{"name": "CLUSTER_ADMIN", "resource": {"type": "ORGANIZATION"}}])");
  }
  std::vector<RoleGrant> grants;
  for (const json& element : *list) {
    KEYHOLD_ASSIGN_OR_RETURN(RoleGrant grant,
                             ReadRole(element, absl::StrCat("roles[", grants.size(), "]"), account_id));
    grants.push_back(std::move(grant));
  }
  return grants;
}

StatusOr<RoleGrant> GrantOfPath(const Request& request) {
  return MakeGrant(UserId(request), request.path.at("role_name"), request.path.at("resource_type"),
                   request.path.at("resource_id"));
}

// Who administers some clusters is shown the roles on these.
StatusOr<Reply> RolesReply(const Request& request, StatusOr<std::vector<RoleGrant>> grants) {
  if (!grants.ok()) return grants.status();
  const std::vector<RoleGrant>& own = request.caller.grants;
  const bool sees_all =
      control::HasRole(own, control::Role::kOrgAdmin) || control::HasRole(own, control::Role::kClusterAdmin);
  std::erase_if(*grants, [&](const RoleGrant& grant) {
    return !sees_all && !control::HasRole(own, control::Role::kClusterAdmin, grant.cluster_id);
  });
  return Reply::Json({{"roles", RolesJson(*grants)}, {"group_roles", json::array()}});
}

StatusOr<Reply> AccountReply(Services& services, const StatusOr<control::ServiceAccount>& account) {
  if (!account.ok()) return account.status();
  // One that was deleted has no roles any more.
  const auto grants = services.roles.Get(account->id);
  return Reply::Json(ServiceAccountJson(*account, grants.ok() ? *grants : std::vector<RoleGrant>()));
}

}  // namespace

StatusOr<Reply> ListServiceAccounts(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto accounts, services.service_accounts.List());
  KEYHOLD_ASSIGN_OR_RETURN(const auto roles, services.roles.List());
  std::map<std::string, std::vector<RoleGrant>> grants;
  for (const auto& account : roles) grants[account.account_id] = account.grants;
  std::vector<Keyed> items;
  for (const auto& account : accounts) {
    items.push_back(
        {absl::StrCat(account.name, " ", account.id), ServiceAccountJson(account, grants[account.id])});
  }
  return Paged(request, "service_accounts", std::move(items));
}

StatusOr<Reply> CreateServiceAccount(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  const std::string name = reader.Text("name").value_or("");
  const std::string description = reader.Text("description").value_or("");
  KEYHOLD_ASSIGN_OR_RETURN(const auto grants, ReadRoles(reader, ""));
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return AccountReply(services, services.service_accounts.Create(request.caller, name, description, grants));
}

StatusOr<Reply> GetServiceAccount(Services& services, const Request& request) {
  return AccountReply(services, services.service_accounts.Get(request.path.at("id")));
}

StatusOr<Reply> UpdateServiceAccount(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  const auto name = reader.Text("name");
  const auto description = reader.Text("description");
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return AccountReply(
      services, services.service_accounts.Update(request.caller, request.path.at("id"), name, description));
}

StatusOr<Reply> DeleteServiceAccount(Services& services, const Request& request) {
  return AccountReply(services, services.service_accounts.Delete(request.caller, request.path.at("id")));
}

StatusOr<Reply> ListRoleGrants(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto accounts, services.roles.List());
  std::vector<Keyed> items;
  for (const auto& account : accounts) {
    items.push_back(
        {account.account_id, {{"user_id", account.account_id}, {"roles", RolesJson(account.grants)}}});
  }
  return Paged(request, "grants", std::move(items));
}

StatusOr<Reply> GetRolesOfUser(Services& services, const Request& request) {
  return RolesReply(request, services.roles.Get(UserId(request)));
}

StatusOr<Reply> SetRolesOfUser(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const json object, ParseObject(request.body));
  ObjectReader reader(object, "");
  KEYHOLD_ASSIGN_OR_RETURN(const auto grants, ReadRoles(reader, UserId(request)));
  KEYHOLD_RETURN_IF_ERROR(reader.Finish());
  return RolesReply(request, services.roles.Set(request.caller, UserId(request), grants));
}

StatusOr<Reply> AddUserToRole(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const RoleGrant grant, GrantOfPath(request));
  return RolesReply(request, services.roles.Add(request.caller, grant));
}

StatusOr<Reply> RemoveUserFromRole(Services& services, const Request& request) {
  KEYHOLD_ASSIGN_OR_RETURN(const RoleGrant grant, GrantOfPath(request));
  return RolesReply(request, services.roles.Remove(request.caller, grant));
}

}  // namespace keyhold::api
