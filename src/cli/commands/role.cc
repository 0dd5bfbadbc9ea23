#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "cli/commands/groups.h"
#include "cli/commands/role_list.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

// The id of an account given by id or by its name.
StatusOr<std::string> AccountId(const ApiClient& api, const std::string& name_or_id) {
  KEYHOLD_ASSIGN_OR_RETURN(const json accounts, api.List("/service-accounts", "service_accounts"));
  std::string found;
  for (const json& account : accounts) {
    if (Text(account, "id") == name_or_id) return name_or_id;
    if (Text(account, "name") != name_or_id) continue;
    if (!found.empty()) {
      return Error(Cause::kInvalidArgument,
                   absl::StrCat("several service accounts are named \"", name_or_id,
                                "\"; give the id, ccloud service-account list has it"));
    }
    found = Text(account, "id");
  }
  if (!found.empty()) return found;
  return Error(Cause::kNotFound, absl::StrCat("there is no service account \"", name_or_id,
                                              "\"; ccloud service-account list shows those there are"));
}

// Id by id, when the caller may not list accounts.
StatusOr<std::string> AccountFor(const ApiClient& api, const std::string& name_or_id) {
  StatusOr<std::string> id = AccountId(api, name_or_id);
  return !id.ok() && CauseOf(id.status()) == Cause::kPermissionDenied ? StatusOr<std::string>(name_or_id)
                                                                      : id;
}

Status List(Session& session, const Arguments&) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  session.output().Progress("Retrieving roles");
  KEYHOLD_ASSIGN_OR_RETURN(const json grants, api.List("/roles", "grants"));
  if (session.output().json()) {
    session.output().Json(grants);
    return OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const json& grant : grants) {
    for (const json& role : grant.value("roles", json::array())) {
      rows.push_back({Text(grant, "user_id"), Text(role, "name"), ResourceText(role)});
    }
  }
  session.output().Table({"SERVICE ACCOUNT ID", "ROLE", "ON"}, rows);
  return OkStatus();
}

void ShowRoles(Session& session, const json& answer) {
  if (session.output().json()) return session.output().Json(answer);
  std::vector<std::vector<std::string>> rows;
  for (const json& role : answer.value("roles", json::array())) {
    rows.push_back({Text(role, "name"), ResourceText(role)});
  }
  session.output().Table({"ROLE", "ON"}, rows);
}

Status Get(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const std::string id, AccountFor(api, arguments.Text("ACCOUNT")));
  KEYHOLD_ASSIGN_OR_RETURN(const json answer, api.Get("/roles/" + PercentEncoded(id)));
  ShowRoles(session, answer);
  return OkStatus();
}

// "ROLE" on the organization, "ROLE:CLUSTER" on a cluster: BuiltInRole.
StatusOr<json> Resolved(Session& session, const ApiClient& api, const std::string& text) {
  const size_t colon = text.find(':');
  json role = {{"name", text.substr(0, colon)}, {"resource", {{"type", "ORGANIZATION"}}}};
  if (colon == std::string::npos) return role;
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, text.substr(colon + 1)));
  role["resource"] = {{"type", "CLUSTER"}, {"id", Text(cluster, "id")}};
  return role;
}

Status Set(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json roles, ResolveRoles(session, api, arguments.List("ROLE")));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string id, AccountFor(api, arguments.Text("ACCOUNT")));
  session.output().Progress("Setting roles");
  KEYHOLD_ASSIGN_OR_RETURN(const json answer,
                           api.Send("PUT", "/roles/" + PercentEncoded(id), {{"roles", roles}}));
  ShowRoles(session, answer);
  return OkStatus();
}

Status Change(Session& session, const Arguments& arguments, const std::string& method) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json role, Resolved(session, api, arguments.Text("ROLE")));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string id, AccountFor(api, arguments.Text("ACCOUNT")));
  const json resource = role["resource"];
  const std::string on = Text(resource, "id").empty() ? "organization" : Text(resource, "id");
  const std::string path = absl::StrCat("/roles/", PercentEncoded(id), "/", Text(resource, "type"), "/",
                                        PercentEncoded(on), "/", PercentEncoded(Text(role, "name")));
  session.output().Progress(method == "POST" ? "Adding role" : "Removing role");
  KEYHOLD_ASSIGN_OR_RETURN(const json answer,
                           method == "POST" ? api.Send("POST", path, json::object()) : api.Delete(path));
  ShowRoles(session, answer);
  return OkStatus();
}

Status Add(Session& session, const Arguments& arguments) { return Change(session, arguments, "POST"); }
Status Remove(Session& session, const Arguments& arguments) { return Change(session, arguments, "DELETE"); }

}  // namespace

std::string ResourceText(const json& role) {
  const json resource = role.value("resource", json::object());
  return Text(resource, "type") == "CLUSTER" ? "cluster " + Text(resource, "id") : "organization";
}

StatusOr<json> ResolveRoles(Session& session, const ApiClient& api, const std::vector<std::string>& texts) {
  json roles = json::array();
  for (const std::string& text : texts) {
    KEYHOLD_ASSIGN_OR_RETURN(json role, Resolved(session, api, text));
    roles.push_back(std::move(role));
  }
  return roles;
}

std::vector<Command> RoleCommands() {
  const Positional account = {"ACCOUNT", "Id or name of the service account"};
  const Positional role = {"ROLE", "ROLE on the organization, or ROLE:CLUSTER on one cluster"};
  Positional several = role;
  several.count = Positional::kAny;
  return {
      {"role list", "List who has which role", "ccloud role list", {}, {}, List},
      {"role get", "Show an account's roles", "ccloud role get ci", {account}, {}, Get},
      {"role add",
       "Give a role to an account",
       "ccloud role add ci CLUSTER_ADMIN\nccloud role add ci CLUSTER_OPERATOR_WRITER:demo",
       {account, role},
       {},
       Add},
      {"role remove",
       "Take a role from an account",
       "ccloud role remove ci CLUSTER_OPERATOR_WRITER:demo",
       {account, role},
       {},
       Remove},
      {"role set",
       "Replace all roles of an account",
       "ccloud role set ci CLUSTER_DEVELOPER:demo METRICS_VIEWER",
       {account, several},
       {},
       Set},
  };
}

}  // namespace keyhold::cli
