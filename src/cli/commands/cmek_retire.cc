// `ccloud cmek retire-check`: whether a key may be destroyed in its KMS, as far as this cluster goes.
//
// The evidence is the nodes' own (docs/api.md, "CMEK"): a scan of the whole store that found nothing under
// the data keys of that key's time. Whatever is not known counts as needed.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/groups.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

std::string UriOf(const json& info) { return Text(info.value("spec", json::object()), "uri"); }

std::vector<std::string> KeysOf(const json& cmek) {
  std::vector<std::string> uris;
  for (const json& region : cmek.value("region_infos", json::array())) {
    for (const json& info : region.value("key_infos", json::array())) {
      if (std::find(uris.begin(), uris.end(), UriOf(info)) == uris.end()) uris.push_back(UriOf(info));
    }
  }
  return uris;
}

// How far the region's data is from being free of its past keys, for people.
std::string ProgressOf(const json& region) {
  const json now = region.value("reencryption", json());
  if (!now.is_object()) return "its nodes have not begun to re-encrypt";
  const std::string failure = Text(now, "failure");
  return absl::StrCat("re-encryption is ", Text(now, "state"), ", ", Text(now, "percent"), " %",
                      failure.empty() ? "" : ": ", failure);
}

// Why the region still needs the key; empty where it does not.
std::string NeededBy(const json& region, size_t place) {
  const json& info = region["key_infos"][place];
  if (place == 0 || Text(info, "status") == "ENABLED") {
    return "it is the key in force; rotate to another one first: ccloud cluster cmek rotate";
  }
  if (info.value("may_be_destroyed", false) && info.value("evidence", json()).is_object()) return "";
  return absl::StrCat("data may still be under data keys of its time; ", ProgressOf(region));
}

// One line for each of the region's entries of the key.
void JudgeRegion(const json& region, const std::string& key, json& lines) {
  const json infos = region.value("key_infos", json::array());
  for (size_t place = 0; place < infos.size(); ++place) {
    if (UriOf(infos[place]) != key) continue;
    const std::string needed = NeededBy(region, place);
    json line = {{"region", Text(region, "region")},
                 {"status", Text(infos[place], "status")},
                 {"since", Text(infos[place], "created_at")},
                 {"needed", !needed.empty()}};
    if (!needed.empty()) line["because"] = needed;
    if (needed.empty()) line["evidence"] = infos[place]["evidence"];
    lines.push_back(std::move(line));
  }
}

// Nodes that do not serve: what was last heard of them may not be so any more.
StatusOr<json> SilentNodes(const ApiClient& api, const json& cluster) {
  KEYHOLD_ASSIGN_OR_RETURN(const json nodes, api.List(ClusterPath(cluster) + "/nodes", "nodes"));
  json silent = json::array();
  for (const json& node : nodes) {
    if (Text(node, "status") != "LIVE") silent.push_back(Text(node, "name"));
  }
  return silent;
}

StatusOr<json> Judge(const ApiClient& api, const json& cluster, const std::string& key,
                     const std::string& version) {
  KEYHOLD_ASSIGN_OR_RETURN(const json cmek, api.Get(ClusterPath(cluster) + "/cmek"));
  json lines = json::array();
  for (const json& region : cmek.value("region_infos", json::array())) JudgeRegion(region, key, lines);
  if (lines.empty()) {
    const std::vector<std::string> keys = KeysOf(cmek);
    return Error(Cause::kNotFound,
                 absl::StrCat("cluster ", Text(cluster, "name"), " knows nothing of key ", key,
                              "; its keys are ", keys.empty() ? "none" : absl::StrJoin(keys, ", ")));
  }
  KEYHOLD_ASSIGN_OR_RETURN(const json silent, SilentNodes(api, cluster));
  const bool needed =
      std::any_of(lines.begin(), lines.end(), [](const json& line) { return line["needed"] == true; });
  return json{{"cluster", Text(cluster, "name")},
              {"key", key},
              {"version", version},
              {"may_be_destroyed", !needed && silent.empty()},
              {"regions", std::move(lines)},
              {"nodes_that_do_not_serve", silent}};
}

void Print(Output& output, const json& answer) {
  output.Line(absl::StrCat(answer["may_be_destroyed"] == true ? "YES" : "NO", ": key ", Text(answer, "key"),
                           answer["may_be_destroyed"] == true ? " may be destroyed, as far as cluster "
                                                              : " is still needed by cluster ",
                           Text(answer, "cluster"), answer["may_be_destroyed"] == true ? " goes" : ""));
  for (const json& line : answer["regions"]) {
    output.Field("region", Text(line, "region"));
    output.Field("used since", ShortTime(Text(line, "since")), 1);
    if (line["needed"] == true) {
      output.Field("needed", Text(line, "because"), 1);
      continue;
    }
    const json& evidence = line["evidence"];
    output.Field("not needed since", ShortTime(Text(evidence, "proved_at")), 1);
    output.Field("evidence",
                 absl::StrCat("a scan of ", Text(evidence, "blocks"), " blocks, ", Text(evidence, "files"),
                              " files, ", Text(evidence, "directories"), " directories and ",
                              Text(evidence, "links"), " links found none under the data keys of its time"),
                 1);
  }
  for (const json& node : answer["nodes_that_do_not_serve"]) {
    output.Field("node that does not serve, and cannot be asked", node.get<std::string>());
  }
  if (!Text(answer, "version").empty()) {
    output.Line("Versions of a key are not told apart: this is about all of them.");
  }
  output.Line("Keyhold keeps no backups yet. Copies of a node's directory from before still need the key.");
}

Status RetireCheck(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("CLUSTER")));
  KEYHOLD_ASSIGN_OR_RETURN(const json answer,
                           Judge(api, cluster, arguments.Text("--key"), arguments.Text("--version")));
  if (session.output().json()) {
    session.output().Json(answer);
  } else {
    Print(session.output(), answer);
  }
  if (answer["may_be_destroyed"] == true) return OkStatus();
  return Error(Cause::kFailedPrecondition, "the key is still needed; do not destroy it");
}

}  // namespace

std::vector<Command> CmekRetireCommands() {
  return {
      {"cmek retire-check",
       "Tell whether a key may be destroyed, from the nodes' own evidence",
       "ccloud cmek retire-check demo --key arn:aws:kms:us-east-1:111122223333:key/1234abcd",
       {{"CLUSTER", "Name or id of the cluster"}},
       {{"--key", "URI", "The key, as `ccloud cluster cmek get` shows it (required)", "", true},
        {"--version", "V", "A version of it; versions are not told apart: the answer is about all of them"}},
       RetireCheck},
  };
}

}  // namespace keyhold::cli
