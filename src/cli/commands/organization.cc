#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "cli/commands/groups.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

Status Get(Session& session, const Arguments&) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  session.output().Progress("Retrieving organization");
  KEYHOLD_ASSIGN_OR_RETURN(const json organization, api.Get("/organization"));
  if (session.output().json()) {
    session.output().Json(organization);
    return OkStatus();
  }
  session.output().Line("ID: " + Text(organization, "id"));
  session.output().Line("Name: " + Text(organization, "name"));
  session.output().Line("Label: " + Text(organization, "label"));
  session.output().Line("Created At: " + ShortTime(Text(organization, "created_at")));
  const json aws =
      organization.value("cockroach_cloud_service_principals", json::object()).value("aws", json::object());
  if (!Text(aws, "user_arn").empty()) session.output().Line("AWS Principal: " + Text(aws, "user_arn"));
  return OkStatus();
}

// The newest `limit` events; all there are for 0.
StatusOr<json> Events(const ApiClient& api, std::string starting_from, size_t limit) {
  json events = json::array();
  constexpr size_t kPage = 200;
  while (limit == 0 || events.size() < limit) {
    const size_t size = limit == 0 ? kPage : std::min(kPage, limit - events.size());
    std::string path = absl::StrCat("/auditlogevents?sort_order=DESC&limit=", size);
    if (!starting_from.empty()) absl::StrAppend(&path, "&starting_from=", PercentEncoded(starting_from));
    KEYHOLD_ASSIGN_OR_RETURN(const json answer, api.Get(path));
    const json page = answer.value("entries", json::array());
    events.insert(events.end(), page.begin(), page.end());
    const std::string next = Text(answer, "next_starting_from");
    if (page.empty() || next.empty() || next == starting_from) break;
    starting_from = next;
  }
  return events;
}

std::string Actor(const json& event) {
  const std::string user = Text(event, "user_email");
  return user.empty() ? Text(event, "service_account_name") : user;
}

Status Audit(Session& session, const Arguments& arguments) {
  int limit = 100;
  if (arguments.Has("--limit") && (!absl::SimpleAtoi(arguments.Text("--limit"), &limit) || limit < 1)) {
    return UsageError("--limit must be a positive number");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  session.output().Progress("Retrieving audit log");
  KEYHOLD_ASSIGN_OR_RETURN(const json events, Events(api, arguments.Text("--starting-from"), limit));
  if (session.output().json()) {
    session.output().Json(events);
    return OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const json& e : events) {
    const std::string action = Text(e, "action");
    rows.push_back({ShortTime(Text(e, "created_at")),
                    std::string(absl::StripPrefix(action, "AUDIT_LOG_ACTION_")), Text(e, "cluster_name"),
                    Actor(e),
                    Text(e, "error").empty() ? "done" : absl::StrCat("refused: ", Text(e, "error"))});
  }
  session.output().Table({"TIME", "ACTION", "CLUSTER", "USER", "RESULT"}, rows);
  return OkStatus();
}

}  // namespace

std::vector<Command> OrganizationCommands() {
  return {
      {"organization get", "Show the organization", "ccloud organization get", {}, {}, Get},
      {"org get", "Show the organization", "ccloud org get", {}, {}, Get},
      {"audit list",
       "Show who did what",
       "ccloud audit list --limit 20",
       {},
       {{"--limit", "N", "At most so many events (default 100)"},
        {"--starting-from", "TIME", "From this time on, RFC 3339"}},
       Audit},
  };
}

}  // namespace keyhold::cli
