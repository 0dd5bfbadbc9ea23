// `ccloud cmek retire-check`: whether a key may be destroyed in its KMS, as far as this cluster goes.
//
// The evidence is the nodes' own (docs/api.md, "CMEK"): a scan of the whole store that found nothing under
// the data keys of that key's time. Whatever is not known counts as needed.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/commands/groups.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

std::string UriOf(const json& info) { return Text(info.value("spec", json::object()), "uri"); }

// What `says` tells of the key_infos that pass `test`, each once.
template <typename Says, typename Test>
std::vector<std::string> Distinct(const json& cmek, Says says, Test test) {
  std::vector<std::string> found;
  for (const json& region : cmek.value("region_infos", json::array())) {
    for (const json& info : region.value("key_infos", json::array())) {
      if (!test(info) || std::find(found.begin(), found.end(), says(info)) != found.end()) continue;
      found.push_back(says(info));
    }
  }
  return found;
}

// How far the region's data is from being free of its past keys, for people.
std::string ProgressOf(const json& region) {
  const json now = region.value("reencryption", json());
  if (!now.is_object()) return "its nodes have not begun to re-encrypt";
  const std::string failure = Text(now, "failure");
  return absl::StrCat("re-encryption is ", Text(now, "state"), ", ", Text(now, "percent"), " %",
                      failure.empty() ? "" : ": ", failure);
}

std::string VersionOf(const json& info) { return Text(info.value("version", json::object()), "name"); }

// What is asked about: a key, or one version of it.
struct Subject {
  std::string key;
  std::string version;           // empty: all versions
  bool versions_as_one = false;  // one was given, and those of this key live and die together
};

bool IsAws(const std::string& uri) { return uri.starts_with("arn:"); }
bool IsAzure(const std::string& uri) { return uri.starts_with("https://"); }

// https://HOST/keys/NAME/VERSION in two; the version is empty where the URI has none.
std::pair<std::string, std::string> SplitVersion(const std::string& uri) {
  const std::vector<std::string> parts = absl::StrSplit(uri, '/');
  if (!IsAzure(uri) || parts.size() != 6) return {uri, ""};
  return {uri.substr(0, uri.rfind('/')), parts.back()};
}

// `version` may also be as gcloud prints it: .../cryptoKeyVersions/3.
StatusOr<Subject> SubjectOf(const std::string& uri, const std::string& version) {
  const std::string name = version.substr(version.rfind('/') + 1);
  if (IsAws(uri)) return Subject{uri, "", !name.empty()};
  const auto [key, pinned] = SplitVersion(uri);
  if (pinned.empty() || name.empty() || name == pinned) return Subject{key, pinned.empty() ? name : pinned};
  return Error(Cause::kInvalidArgument,
               absl::StrCat("--key names version ", pinned, " of the key, and --version ", name,
                            "; give one of them"));
}

bool IsOfKey(const Subject& subject, const json& info) {
  const std::string key = SplitVersion(UriOf(info)).first;
  return IsAzure(key) ? absl::EqualsIgnoreCase(key, subject.key) : key == subject.key;
}

// An entry that does not tell its version may be of any.
bool IsAbout(const Subject& subject, const json& info) {
  const std::string version = VersionOf(info);
  return IsOfKey(subject, info) && (subject.version.empty() || version.empty() || version == subject.version);
}

// Whether the time of an entry that is not in force is over, and that is proved.
bool IsFree(const Subject& subject, const json& info) {
  if (!info.value("evidence", json()).is_object()) return false;
  if (subject.version.empty()) return info.value("may_be_destroyed", false);
  // Of an entry without a version, that its own time is over is all there is to know.
  return VersionOf(info).empty() || info["version"].value("may_be_destroyed", false);
}

// Why the region still needs the key, or its version; empty where it does not.
std::string NeededBy(const Subject& subject, const json& region, size_t place) {
  const json& info = region["key_infos"][place];
  if (place == 0 || Text(info, "status") == "ENABLED") {
    if (subject.version.empty()) {
      return "it is the key in force; rotate to another one first: ccloud cluster cmek rotate";
    }
    return VersionOf(info).empty()
               ? "it is not known which version wraps the store key now; ccloud cluster cmek rotate makes it "
                 "known"
               : "it wraps the store key now; rotate to a newer version first: ccloud cluster cmek rotate";
  }
  if (IsFree(subject, info)) return "";
  return absl::StrCat("data may still be under data keys of its time; ", ProgressOf(region));
}

// One line for each of the region's entries that the question is about.
void JudgeRegion(const json& region, const Subject& subject, json& lines) {
  const json infos = region.value("key_infos", json::array());
  for (size_t place = 0; place < infos.size(); ++place) {
    if (!IsAbout(subject, infos[place])) continue;
    const std::string needed = NeededBy(subject, region, place);
    json line = {{"region", Text(region, "region")},
                 {"status", Text(infos[place], "status")},
                 {"version", VersionOf(infos[place])},
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

Status NeverUsed(const json& cluster, const json& cmek, const Subject& subject) {
  const auto is_told = [](const json& info) { return !VersionOf(info).empty(); };
  const auto is_of_key = [&](const json& info) { return IsOfKey(subject, info) && is_told(info); };
  const std::vector<std::string> versions = Distinct(cmek, VersionOf, is_of_key);
  if (!versions.empty()) {
    return Error(Cause::kNotFound,
                 absl::StrCat("cluster ", Text(cluster, "name"), " never used version ", subject.version,
                              " of key ", subject.key, "; it used ", absl::StrJoin(versions, ", ")));
  }
  const std::vector<std::string> keys = Distinct(cmek, UriOf, [](const json&) { return true; });
  return Error(Cause::kNotFound,
               absl::StrCat("cluster ", Text(cluster, "name"), " knows nothing of key ", subject.key,
                            "; its keys are ", keys.empty() ? "none" : absl::StrJoin(keys, ", ")));
}

StatusOr<json> Judge(const ApiClient& api, const json& cluster, const Subject& subject) {
  KEYHOLD_ASSIGN_OR_RETURN(const json cmek, api.Get(ClusterPath(cluster) + "/cmek"));
  json lines = json::array();
  for (const json& region : cmek.value("region_infos", json::array())) JudgeRegion(region, subject, lines);
  if (lines.empty()) return NeverUsed(cluster, cmek, subject);
  KEYHOLD_ASSIGN_OR_RETURN(const json silent, SilentNodes(api, cluster));
  const bool needed =
      std::any_of(lines.begin(), lines.end(), [](const json& line) { return line["needed"] == true; });
  return json{{"cluster", Text(cluster, "name")},
              {"key", subject.key},
              {"version", subject.version},
              {"versions_as_one", subject.versions_as_one},
              {"may_be_destroyed", !needed && silent.empty()},
              {"regions", std::move(lines)},
              {"nodes_that_do_not_serve", silent}};
}

void PrintRegion(Output& output, const json& line) {
  output.Field("region", Text(line, "region"));
  if (!Text(line, "version").empty()) output.Field("version", Text(line, "version"), 1);
  output.Field("used since", ShortTime(Text(line, "since")), 1);
  if (line["needed"] == true) return output.Field("needed", Text(line, "because"), 1);
  const json& evidence = line["evidence"];
  output.Field("not needed since", ShortTime(Text(evidence, "proved_at")), 1);
  output.Field("evidence",
               absl::StrCat("a scan of ", Text(evidence, "blocks"), " blocks, ", Text(evidence, "files"),
                            " files, ", Text(evidence, "directories"), " directories and ",
                            Text(evidence, "links"), " links found none under the data keys of its time"),
               1);
}

void Print(Output& output, const json& answer) {
  const bool free = answer["may_be_destroyed"] == true;
  const std::string version = Text(answer, "version");
  output.Line(absl::StrCat(
      free ? "YES: " : "NO: ", version.empty() ? "" : absl::StrCat("version ", version, " of "), "key ",
      Text(answer, "key"), free ? " may be destroyed, as far as cluster " : " is still needed by cluster ",
      Text(answer, "cluster"), free ? " goes" : ""));
  for (const json& line : answer["regions"]) PrintRegion(output, line);
  for (const json& node : answer["nodes_that_do_not_serve"]) {
    output.Field("node that does not serve, and cannot be asked", node.get<std::string>());
  }
  if (answer["versions_as_one"] == true) {
    output.Line("The versions of an AWS key live and die with the key: this is about all of them.");
  }
  output.Line("Keyhold keeps no backups yet. Copies of a node's directory from before still need the key.");
}

Status RetireCheck(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const Subject subject,
                           SubjectOf(arguments.Text("--key"), arguments.Text("--version")));
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("CLUSTER")));
  KEYHOLD_ASSIGN_OR_RETURN(const json answer, Judge(api, cluster, subject));
  if (session.output().json()) {
    session.output().Json(answer);
  } else {
    Print(session.output(), answer);
  }
  if (answer["may_be_destroyed"] == true) return OkStatus();
  return Error(Cause::kFailedPrecondition, "it is still needed; do not destroy it");
}

}  // namespace

std::vector<Command> CmekRetireCommands() {
  return {
      {"cmek retire-check",
       "Tell whether a key, or a version of it, may be destroyed, from the nodes' own evidence",
       "ccloud cmek retire-check demo --key arn:aws:kms:us-east-1:111122223333:key/1234abcd\n"
       "ccloud cmek retire-check demo --key projects/p/locations/us-east1/keyRings/r/cryptoKeys/k --version "
       "3",
       {{"CLUSTER", "Name or id of the cluster"}},
       {{"--key", "URI", "The key, as `ccloud cluster cmek get` shows it (required)", "", true},
        {"--version", "V",
         "A version of it, as `ccloud cluster cmek get` shows it; AWS's live and die together"}},
       RetireCheck},
  };
}

}  // namespace keyhold::cli
