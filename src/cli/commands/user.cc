#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "cli/commands/groups.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

std::string UsersPath(const json& cluster) { return ClusterPath(cluster) + "/sql-users"; }

void Show(Session& session, const std::string& what, const json& user, const json& cluster) {
  if (session.output().json()) return session.output().Json(user);
  session.output().Line("Success! " + what);
  session.output().Field("name", Text(user, "name"));
  session.output().Field("cluster", Text(cluster, "id"));
}

StatusOr<std::string> PasswordFor(Session& session, const Arguments& arguments) {
  if (arguments.Has("--password")) return arguments.Text("--password");
  return session.Secret("Password");
}

Status Create(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string password, PasswordFor(session, arguments));
  session.output().Progress("Creating SQL user");
  const json body = {{"name", arguments.Text("USER")}, {"password", password}};
  KEYHOLD_ASSIGN_OR_RETURN(const json user, api.Send("POST", UsersPath(cluster), body));
  Show(session, "Created SQL user", user, cluster);
  return OkStatus();
}

Status List(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const json users, api.List(UsersPath(cluster), "users"));
  if (session.output().json()) {
    session.output().Json(users);
    return OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const json& user : users) rows.push_back({Text(user, "name")});
  session.output().Table({"NAME"}, rows);
  return OkStatus();
}

Status Delete(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  session.output().Progress("Deleting SQL user");
  KEYHOLD_ASSIGN_OR_RETURN(const json user, api.Delete(absl::StrCat(UsersPath(cluster), "/",
                                                                    PercentEncoded(arguments.Text("USER")))));
  Show(session, "Deleted SQL user", user, cluster);
  return OkStatus();
}

Status Password(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string password, PasswordFor(session, arguments));
  session.output().Progress("Changing the password");
  const std::string path =
      absl::StrCat(UsersPath(cluster), "/", PercentEncoded(arguments.Text("USER")), "/password");
  KEYHOLD_ASSIGN_OR_RETURN(const json user, api.Send("PUT", path, {{"password", password}}));
  Show(session, "Changed the password of SQL user", user, cluster);
  return OkStatus();
}

}  // namespace

std::vector<Command> UserCommands() {
  const Positional name = {"NAME", "Name or id of the cluster"};
  const Positional user = {"USER", "Name of the SQL user"};
  const Option password = {"--password", "PW", "The password (default: asked for, or a line of the input)",
                           "-p"};
  return {
      {"cluster user create",
       "Create a SQL user, with admin rights",
       "ccloud cluster user create demo maya",
       {name, user},
       {password},
       Create},
      {"cluster user list", "List SQL users", "ccloud cluster user list demo", {name}, {}, List},
      {"cluster user delete",
       "Delete a SQL user",
       "ccloud cluster user delete demo maya",
       {name, user},
       {},
       Delete},
      {"cluster user password",
       "Change a SQL user's password",
       "ccloud cluster user password demo maya",
       {name, user},
       {password},
       Password},
  };
}

}  // namespace keyhold::cli
