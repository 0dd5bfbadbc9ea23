#include "cli/session.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
constexpr absl::Duration kWaitLimit = absl::Minutes(10);

bool IsId(const std::string& text) {
  return text.size() == 36 && text.find_first_not_of("0123456789abcdefABCDEF-") == std::string::npos;
}

StatusOr<std::string> LineOf(std::istream& in) {
  std::string line;
  if (!std::getline(in, line)) return Error(Cause::kInvalidArgument, "the input ended");
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

}  // namespace

std::string ClusterPath(const json& cluster) {
  return absl::StrCat("/clusters/", PercentEncoded(Text(cluster, "id")));
}

std::string Text(const json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

StatusOr<ApiClient> Session::Api() const {
  Endpoint endpoint{environment_.server, environment_.api_key};
  if (endpoint.server.empty() || endpoint.api_key.empty()) {
    KEYHOLD_ASSIGN_OR_RETURN(const Endpoint kept, ReadLogin(environment_.config_dir));
    if (endpoint.server.empty()) endpoint.server = kept.server;
    // A kept key goes to the server that it was kept for, and to no other.
    if (endpoint.api_key.empty() && endpoint.server == kept.server) endpoint.api_key = kept.api_key;
  }
  if (endpoint.server.empty() || endpoint.api_key.empty()) {
    return Error(Cause::kUnauthenticated,
                 "not logged in: run `ccloud auth login`, or `source DIR/env.sh` of a running keyhold start");
  }
  KEYHOLD_RETURN_IF_ERROR(CheckServer(endpoint.server));
  return ApiClient(endpoint, environment_.pause);
}

StatusOr<json> Session::FindCluster(const ApiClient& api, const std::string& name_or_id) const {
  output_.Progress("Retrieving cluster");
  if (IsId(name_or_id)) {
    StatusOr<json> cluster = api.Get("/clusters/" + PercentEncoded(name_or_id));
    if (cluster.ok() || CauseOf(cluster.status()) != Cause::kNotFound) return cluster;
  }
  KEYHOLD_ASSIGN_OR_RETURN(const json clusters, api.List("/clusters", "clusters"));
  for (const json& cluster : clusters) {
    if (Text(cluster, "name") == name_or_id) return cluster;
  }
  return Error(Cause::kNotFound, absl::StrCat("there is no cluster \"", name_or_id,
                                              "\"; `ccloud cluster list` shows those there are"));
}

StatusOr<json> Session::Await(const ApiClient& api, const std::string& path,
                              const std::function<bool(const json&)>& done, const std::string& what,
                              const char* field) const {
  absl::Duration pause = kFirstPause;
  output_.Progress(what);
  for (absl::Duration waited; waited < kWaitLimit; waited += pause) {
    KEYHOLD_ASSIGN_OR_RETURN(json value, api.Get(path));
    if (done(value)) return value;
    output_.Live(absl::StrCat(what, ": ", Text(value, field), ", ", absl::ToInt64Seconds(waited), " s"));
    environment_.pause(pause);
    pause = std::min(pause * 1.5, kLongestPause);
  }
  return Error(Cause::kUnavailable,
               "it takes longer than ten minutes; it goes on: `ccloud cluster info NAME` shows how");
}

Status Session::Confirm(const std::string& warning, const std::string& name) const {
  output_.Note(warning);
  environment_.err << "Type the cluster's name (" << Printable(name) << ") to go on: " << std::flush;
  const StatusOr<std::string> line = LineOf(environment_.in);
  if (!environment_.in_is_terminal) environment_.err << "\n";
  if (line.ok() && *line == name) return OkStatus();
  return Error(Cause::kFailedPrecondition,
               "that is not the cluster's name: nothing was done (--yes asks nothing)");
}

StatusOr<std::string> Session::Secret(const std::string& prompt) const {
  if (environment_.in_is_terminal) environment_.err << prompt << ": " << std::flush;
  KEYHOLD_ASSIGN_OR_RETURN(
      std::string secret, environment_.in_is_terminal ? environment_.read_secret() : LineOf(environment_.in));
  if (secret.empty()) return Error(Cause::kInvalidArgument, absl::StrCat("no ", prompt, " was given"));
  return secret;
}

}  // namespace keyhold::cli
