// `ccloud cluster cmek recovery`: a key pair made on this machine, whose private half is shared among people
// and sent nowhere.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands/groups.h"
#include "cli/recovery_view.h"
#include "cli/secret_files.h"
#include "cli/session.h"
#include "recovery/recovery_key.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

std::string PathOf(const json& cluster) { return ClusterPath(cluster) + "/cmek/recovery"; }

void Show(Session& session, const json& cluster, const json& recovery) {
  if (session.output().json()) return session.output().Json(recovery);
  session.output().Line("Cluster: " + Text(cluster, "name"));
  const std::vector<std::string> lines = RecoveryLines(recovery);
  for (const std::string& line : lines) session.output().Line("Recovery Key: " + line);
  if (lines.empty()) session.output().Line("Recovery Key: none; only the CMEK key opens the stores");
}

StatusOr<int> ThresholdOf(const Arguments& arguments) {
  int threshold = 0;
  if (absl::SimpleAtoi(arguments.Text("--threshold"), &threshold)) return threshold;
  return Error(Cause::kInvalidArgument, "--threshold is a number: how many of the shares are needed");
}

Status CheckNoOther(const json& cluster, const json& recovery, bool replace) {
  if (replace || !recovery.contains("key")) return OkStatus();
  return Error(Cause::kAlreadyExists,
               absl::StrCat("cluster ", Text(cluster, "name"), " has a recovery key already (",
                            Text(recovery["key"], "id").substr(0, 16),
                            "); --replace makes another, and the shares of that one open nothing new then"));
}

Status WriteFiles(const recovery::NewRecoveryKey& made, const Arguments& arguments, SecretFiles& files) {
  KEYHOLD_RETURN_IF_ERROR(files.Write(arguments.Text("--recovery-file"), made.file));
  const std::vector<std::string> names = arguments.List("--share-to");
  for (size_t i = 0; i < names.size(); ++i) {
    KEYHOLD_RETURN_IF_ERROR(files.Write(names[i], made.shares[i].ExposeText()));
  }
  return OkStatus();
}

// A locked cluster takes it up when it returns, which may be long.
StatusOr<json> AwaitAll(Session& session, const ApiClient& api, const json& cluster, json recovery,
                        const std::function<bool(const json& region)>& done) {
  const auto all_done = [&](const json& now) {
    const json regions = now.value("regions", json::array());
    return std::all_of(regions.begin(), regions.end(), done);
  };
  if (all_done(recovery) || Text(cluster, "state") == "LOCKED") return recovery;
  return session.Await(api, PathOf(cluster), all_done, "Waiting for the cluster's nodes to take it up", "");
}

Status Create(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const int threshold, ThresholdOf(arguments));
  KEYHOLD_RETURN_IF_ERROR(crypto::InitSecretMemory());
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const json before, api.Get(PathOf(cluster)));
  KEYHOLD_RETURN_IF_ERROR(CheckNoOther(cluster, before, arguments.Has("--replace")));
  session.output().Progress("Making the recovery key, on this machine");
  const auto shares = static_cast<int>(arguments.List("--share-to").size());
  KEYHOLD_ASSIGN_OR_RETURN(
      const recovery::NewRecoveryKey made,
      recovery::MakeRecoveryKey(Text(cluster, "id"), threshold, shares, crypto::SystemRandom()));
  SecretFiles files;
  KEYHOLD_RETURN_IF_ERROR(WriteFiles(made, arguments, files));
  KEYHOLD_ASSIGN_OR_RETURN(
      json recovery,
      api.Send("PUT", PathOf(cluster),
               {{"public_key", made.public_pem}, {"threshold", threshold}, {"shares", shares}}));
  files.Keep();
  KEYHOLD_ASSIGN_OR_RETURN(recovery,
                           AwaitAll(session, api, cluster, std::move(recovery),
                                    [](const json& region) { return region.value("in_force", false); }));
  Show(session, cluster, recovery);
  session.output().Note(absl::StrCat("Give each share to another person, and keep the recovery file where ",
                                     threshold,
                                     " of them find it. Who has both opens the cluster's stores without its "
                                     "KMS, and REVOKE does not stop them."));
  return OkStatus();
}

Status Get(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  KEYHOLD_ASSIGN_OR_RETURN(const json recovery, api.Get(PathOf(cluster)));
  Show(session, cluster, recovery);
  return OkStatus();
}

Status Delete(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json cluster, session.FindCluster(api, arguments.Text("NAME")));
  if (!arguments.Has("--yes")) {
    KEYHOLD_RETURN_IF_ERROR(session.Confirm("Without a recovery key, the data is gone when the KMS key is.",
                                            Text(cluster, "name")));
  }
  KEYHOLD_ASSIGN_OR_RETURN(json recovery, api.Delete(PathOf(cluster)));
  KEYHOLD_ASSIGN_OR_RETURN(recovery,
                           AwaitAll(session, api, cluster, std::move(recovery),
                                    [](const json& region) { return !region.contains("sealed_to"); }));
  Show(session, cluster, recovery);
  return OkStatus();
}

}  // namespace

std::vector<Command> CmekRecoveryCommands() {
  const Positional name = {"NAME", "Name or id of the cluster"};
  return {
      {"cluster cmek recovery create",
       "Make a key that opens the cluster's stores when its KMS is lost, and share it among people",
       "ccloud cluster cmek recovery create demo --threshold 2 --recovery-file demo.recovery "
       "--share-to maya.share --share-to jonas.share --share-to ines.share",
       {name},
       {{"--threshold", "K", "How many of the shares open a store, at least 2 (required)", "", true},
        {"--share-to", "FILE", "A new file for one person's share; once for each person (required)", "", true,
         true},
        {"--recovery-file", "FILE",
         "A new file for the private key, encrypted under what the shares give (required)", "", true},
        {"--replace", "", "Take the place of the recovery key that is there"}},
       Create},
      {"cluster cmek recovery get",
       "Show the cluster's recovery key, and whether one was used",
       "ccloud cluster cmek recovery get demo",
       {name},
       {},
       Get},
      {"cluster cmek recovery delete",
       "Take the recovery key away: only the CMEK key opens the stores then",
       "ccloud cluster cmek recovery delete demo",
       {name},
       {{"--yes", "", "Do not ask for the cluster's name"}},
       Delete},
  };
}

}  // namespace keyhold::cli
