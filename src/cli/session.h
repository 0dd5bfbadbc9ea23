// One run of ccloud: where its commands get the server, print, ask and wait.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/api_client.h"
#include "cli/config.h"
#include "cli/environment.h"
#include "cli/output.h"

namespace keyhold::cli {

class Session {
 public:
  Session(Environment& environment, Output& output) : environment_(environment), output_(output) {}

  Environment& environment() { return environment_; }
  Output& output() { return output_; }

  // The API of the server that the environment names, else of the one that `auth login` has kept.
  // kUnauthenticated: neither; the message says how.
  StatusOr<ApiClient> Api() const;

  // The cluster of that id, else of that name. kNotFound.
  StatusOr<nlohmann::json> FindCluster(const ApiClient& api, const std::string& name_or_id) const;

  // GETs `path` until `done` says so. On a terminal a line says how long it has been, and the answer's
  // `field`; elsewhere `what` is said once. kUnavailable after ten minutes.
  StatusOr<nlohmann::json> Await(const ApiClient& api, const std::string& path,
                                 const std::function<bool(const nlohmann::json&)>& done,
                                 const std::string& what, const char* field) const;

  // Has the user type `name`; kFailedPrecondition when something else comes.
  Status Confirm(const std::string& warning, const std::string& name) const;

  // A line that is not echoed where a terminal is there, a line of the input where not. kInvalidArgument:
  // empty.
  StatusOr<std::string> Secret(const std::string& prompt) const;

 private:
  Environment& environment_;
  Output& output_;
};

// "/clusters/ID", for ApiClient.
std::string ClusterPath(const nlohmann::json& cluster);

// Field `name` of an object as text: strings as they are, numbers and booleans as JSON; empty when missing.
std::string Text(const nlohmann::json& object, const char* name);

}  // namespace keyhold::cli
