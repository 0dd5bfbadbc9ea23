#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/groups.h"
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

Status ListKeys(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  const std::string of = arguments.Text("--service-account-id");
  KEYHOLD_ASSIGN_OR_RETURN(
      const json keys,
      api.List(of.empty() ? "/api-keys" : "/api-keys?service_account_id=" + Encoded(of), "api_keys"));
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

Status DeleteKey(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json key, api.Delete("/api-keys/" + Encoded(arguments.Text("KEY_ID"))));
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
      {"service-account api-key delete",
       "Delete an API key",
       "ccloud service-account api-key delete KEY_ID",
       {{"KEY_ID", "Id of the key"}},
       {},
       DeleteKey},
  };
}

}  // namespace keyhold::cli
