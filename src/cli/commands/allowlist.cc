#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "cli/commands/groups.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

struct Network {
  std::string ip;
  int mask = 0;
};

// IP/MASK; without a mask it is one address.
StatusOr<Network> ParseNetwork(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string ip = text.substr(0, slash);
  Network network{ip, ip.find(':') == std::string::npos ? 32 : 128};
  if (ip.empty() ||
      (slash != std::string::npos && !absl::SimpleAtoi(text.substr(slash + 1), &network.mask))) {
    return UsageError(absl::StrCat("\"", text, "\" is not a network such as 203.0.113.0/24"));
  }
  return network;
}

std::string ListPath(const json& cluster) { return ClusterPath(cluster) + "/networking/allowlist"; }

std::string EntryPath(const json& cluster, const Network& network) {
  return absl::StrCat(ListPath(cluster), "/", PercentEncoded(network.ip), "/", network.mask);
}

void Show(Session& session, const std::string& what, const json& entry, const json& cluster) {
  if (session.output().json()) return session.output().Json(entry);
  session.output().Line(absl::StrCat("Success! ", what, " IP allowlist entry for"));
  session.output().Field("network", absl::StrCat(Text(entry, "cidr_ip"), "/", Text(entry, "cidr_mask")));
  session.output().Field("cluster", Text(cluster, "id"));
}

Status Create(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const Network network, ParseNetwork(arguments.Text("CIDR")));
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  session.output().Progress("Creating IP allowlist entry");
  const json body = {{"cidr_ip", network.ip},
                     {"cidr_mask", network.mask},
                     {"name", arguments.Text("--name")},
                     {"sql", arguments.Has("--sql") || !arguments.Has("--ui")},
                     {"ui", arguments.Has("--ui")}};
  KEYHOLD_ASSIGN_OR_RETURN(const json entry, api.Send("POST", ListPath(cluster), body));
  Show(session, "Created", entry, cluster);
  return OkStatus();
}

Status List(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const json entries, api.List(ListPath(cluster), "allowlist"));
  if (session.output().json()) {
    session.output().Json(entries);
    return OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const json& e : entries) {
    rows.push_back({absl::StrCat(Text(e, "cidr_ip"), "/", Text(e, "cidr_mask")), Text(e, "name"),
                    e.value("ui", false) ? "✔" : "", e.value("sql", false) ? "✔" : ""});
  }
  session.output().Table({"NETWORK", "NAME", "UI", "SQL"}, rows);
  return OkStatus();
}

// The entry as it is; an update without --sql and --ui keeps what it has.
StatusOr<json> Current(const ApiClient& api, const json& cluster, const Network& network) {
  KEYHOLD_ASSIGN_OR_RETURN(const json entries, api.List(ListPath(cluster), "allowlist"));
  for (const json& entry : entries) {
    if (Text(entry, "cidr_ip") == network.ip && Text(entry, "cidr_mask") == absl::StrCat(network.mask))
      return entry;
  }
  return Error(Cause::kNotFound,
               absl::StrCat(network.ip, "/", network.mask,
                            " is not on the allowlist; `ccloud cluster networking allowlist list ",
                            Text(cluster, "name"), "` shows what is"));
}

Status Update(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const Network network, ParseNetwork(arguments.Text("CIDR")));
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const json now, Current(api, cluster, network));
  const bool named = arguments.Has("--sql") || arguments.Has("--ui");
  const json body = {{"name", arguments.Text("--name", Text(now, "name"))},
                     {"sql", named ? arguments.Has("--sql") : now.value("sql", false)},
                     {"ui", named ? arguments.Has("--ui") : now.value("ui", false)}};
  session.output().Progress("Updating IP allowlist entry");
  KEYHOLD_ASSIGN_OR_RETURN(const json entry, api.Send("PATCH", EntryPath(cluster, network), body));
  Show(session, "Updated", entry, cluster);
  return OkStatus();
}

Status Delete(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const Network network, ParseNetwork(arguments.Text("CIDR")));
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  session.output().Progress("Deleting IP allowlist entry");
  KEYHOLD_ASSIGN_OR_RETURN(const json entry, api.Delete(EntryPath(cluster, network)));
  Show(session, "Deleted", entry, cluster);
  return OkStatus();
}

}  // namespace

std::vector<Command> AllowlistCommands() {
  const Positional name = {"NAME", "Name or id of the cluster"};
  const Positional cidr = {"CIDR", "Network, such as 203.0.113.0/24"};
  const std::vector<Option> options = {{"--name", "LABEL", "A name for the entry"},
                                       {"--sql", "", "For SQL (the default)"},
                                       {"--ui", "", "For the console"}};
  const std::string base = "cluster networking allowlist ";
  return {
      {base + "create",
       "Let a network connect",
       "ccloud cluster networking allowlist create demo 203.0.113.0/24 --name office --sql",
       {name, cidr},
       options,
       Create},
      {base + "list",
       "List the networks that may connect",
       "ccloud cluster networking allowlist list demo",
       {name},
       {},
       List},
      {base + "update",
       "Change an entry",
       "ccloud cluster networking allowlist update demo 203.0.113.0/24 --name hq",
       {name, cidr},
       options,
       Update},
      {base + "delete",
       "Stop letting a network connect",
       "ccloud cluster networking allowlist delete demo 203.0.113.0/24",
       {name, cidr},
       {},
       Delete},
  };
}

}  // namespace keyhold::cli
