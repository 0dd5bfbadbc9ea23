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
using Rows = std::vector<std::vector<std::string>>;

Status ListAccounts(Session& session, const Arguments&) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json accounts, api.List("/service-accounts", "service_accounts"));
  if (session.output().json()) {
    session.output().Json(accounts);
    return OkStatus();
  }
  Rows rows;
  for (const json& a : accounts)
    rows.push_back(
        {Text(a, "id"), Text(a, "name"), Text(a, "description"), ShortTime(Text(a, "created_at"))});
  session.output().Table({"ID", "NAME", "DESCRIPTION", "CREATED AT"}, rows);
  return OkStatus();
}

void ShowAccount(Session& session, const std::string& what, const json& account) {
  if (session.output().json()) return session.output().Json(account);
  if (!what.empty()) session.output().Line("Success! " + what + " service account");
  session.output().Field("ID", Text(account, "id"));
  session.output().Field("Name", Text(account, "name"));
  session.output().Field("Description", Text(account, "description"));
  session.output().Field("Created At", ShortTime(Text(account, "created_at")));
  for (const json& role : account.value("roles", json::array())) {
    session.output().Field("Role", absl::StrCat(Text(role, "name"), " on ", ResourceText(role)));
  }
}

std::string AccountPath(const Arguments& arguments) {
  return "/service-accounts/" + PercentEncoded(arguments.Text("ID"));
}

Status GetAccount(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json account, api.Get(AccountPath(arguments)));
  ShowAccount(session, "", account);
  return OkStatus();
}

Status CreateAccount(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json roles, ResolveRoles(session, api, arguments.List("--role")));
  session.output().Progress("Creating service account");
  KEYHOLD_ASSIGN_OR_RETURN(const json account, api.Send("POST", "/service-accounts",
                                                        {{"name", arguments.Text("ACCOUNT_NAME")},
                                                         {"description", arguments.Text("--description")},
                                                         {"roles", roles}}));
  ShowAccount(session, "Created", account);
  return OkStatus();
}

Status UpdateAccount(Session& session, const Arguments& arguments) {
  json body = json::object();
  if (arguments.Has("--name")) body["name"] = arguments.Text("--name");
  if (arguments.Has("--description")) body["description"] = arguments.Text("--description");
  if (body.empty()) return UsageError("nothing to update: give --name or --description");
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json account, api.Send("PATCH", AccountPath(arguments), body));
  ShowAccount(session, "Updated", account);
  return OkStatus();
}

Status DeleteAccount(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  session.output().Progress("Deleting service account");
  KEYHOLD_ASSIGN_OR_RETURN(const json account, api.Delete(AccountPath(arguments)));
  if (session.output().json()) {
    session.output().Json(account);
    return OkStatus();
  }
  session.output().Line("Success! Deleted service account");
  session.output().Field("ID", Text(account, "id"));
  return OkStatus();
}

Status ListKeys(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  const std::string of = arguments.Text("--service-account-id");
  KEYHOLD_ASSIGN_OR_RETURN(
      const json keys,
      api.List(of.empty() ? "/api-keys" : "/api-keys?service_account_id=" + PercentEncoded(of), "api_keys"));
  if (session.output().json()) {
    session.output().Json(keys);
    return OkStatus();
  }
  Rows rows;
  for (const json& k : keys)
    rows.push_back(
        {Text(k, "id"), Text(k, "name"), Text(k, "service_account_id"), ShortTime(Text(k, "created_at"))});
  session.output().Table({"ID", "NAME", "SERVICE ACCOUNT ID", "CREATED AT"}, rows);
  return OkStatus();
}

Status CreateKey(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  const json body = {{"service_account_id", arguments.Text("SERVICE_ACCOUNT_ID")},
                     {"name", arguments.Text("KEY_NAME")}};
  KEYHOLD_ASSIGN_OR_RETURN(const json made, api.Send("POST", "/api-keys", body));
  if (session.output().json()) {
    session.output().Json(made);
    return OkStatus();
  }
  const json key = made.value("api_key", json::object());
  session.output().Line("Success! Created API key");
  session.output().Field("ID", Text(key, "id"));
  session.output().Field("Name", Text(key, "name"));
  session.output().Field("Secret", Text(made, "secret"));
  session.output().Note("IMPORTANT: Save this secret now. It will not be shown again.");
  return OkStatus();
}

Status RenameKey(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json key,
                           api.Send("PATCH", "/api-keys/" + PercentEncoded(arguments.Text("KEY_ID")),
                                    {{"name", arguments.Text("--name")}}));
  if (session.output().json()) {
    session.output().Json(key);
    return OkStatus();
  }
  session.output().Line("Success! Updated API key");
  session.output().Field("ID", Text(key, "id"));
  session.output().Field("Name", Text(key, "name"));
  return OkStatus();
}

Status DeleteKey(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json key,
                           api.Delete("/api-keys/" + PercentEncoded(arguments.Text("KEY_ID"))));
  if (session.output().json()) {
    session.output().Json(key);
    return OkStatus();
  }
  session.output().Line("Success! Deleted API key");
  session.output().Field("ID", Text(key, "id"));
  return OkStatus();
}

}  // namespace

std::vector<Command> ServiceAccountCommands() {
  return {
      {"service-account list", "List service accounts", "ccloud service-account list", {}, {}, ListAccounts},
      {"service-account get",
       "Show a service account and its roles",
       "ccloud service-account get ID",
       {{"ID", "Id of the service account"}},
       {},
       GetAccount},
      {"service-account create",
       "Create a service account",
       "ccloud service-account create ci --description 'builds' --role CLUSTER_OPERATOR_WRITER:demo\n"
       "ccloud service-account api-key create ID first",
       {{"ACCOUNT_NAME", "A name for it"}},
       {{"--description", "TEXT", "What it is for"},
        {"--role", "ROLE[:CLUSTER]", "A role on the organization, or on a cluster; may be given again", "",
         false, true}},
       CreateAccount},
      {"service-account update",
       "Rename or describe a service account",
       "ccloud service-account update ID --description 'nightly builds'",
       {{"ID", "Id of the service account"}},
       {{"--name", "NAME", "A new name"}, {"--description", "TEXT", "A new description"}},
       UpdateAccount},
      {"service-account delete",
       "Delete a service account, its API keys and its roles",
       "ccloud service-account delete ID",
       {{"ID", "Id of the service account"}},
       {},
       DeleteAccount},
      {"service-account api-key list",
       "List API keys",
       "ccloud service-account api-key list",
       {},
       {{"--service-account-id", "ID", "Only this service account's"}},
       ListKeys},
      {"service-account api-key create",
       "Make an API key; its secret is shown once",
       "ccloud service-account api-key create SERVICE_ACCOUNT_ID ci",
       {{"SERVICE_ACCOUNT_ID", "Whose key it is"}, {"KEY_NAME", "A name for it"}},
       {},
       CreateKey},
      {"service-account api-key update",
       "Rename an API key",
       "ccloud service-account api-key update KEY_ID --name ci-2",
       {{"KEY_ID", "Id of the key"}},
       {{"--name", "NAME", "Its new name", "", true}},
       RenameKey},
      {"service-account api-key delete",
       "Delete an API key",
       "ccloud service-account api-key delete KEY_ID",
       {{"KEY_ID", "Id of the key"}},
       {},
       DeleteKey},
  };
}

}  // namespace keyhold::cli
