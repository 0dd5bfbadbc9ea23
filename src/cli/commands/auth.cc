#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/commands/groups.h"
#include "cli/exit_code.h"
#include "cli/session.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;

StatusOr<std::string> KeyFromFile(Session& session, const std::string& path) {
  std::string key;
  std::ifstream file(path);
  std::istream& in = path == "-" ? session.environment().in : file;
  if (!std::getline(in, key) || key.empty())
    return UsageError(absl::StrCat("--api-key-file: cannot read a key from ", path));
  return key;
}

StatusOr<std::string> ApiKeyFor(Session& session, const Arguments& arguments) {
  if (arguments.Has("--api-key-file")) return KeyFromFile(session, arguments.Text("--api-key-file"));
  if (!session.environment().api_key.empty()) return session.environment().api_key;
  return session.Secret("API key");
}

StatusOr<std::string> ServerFor(Session& session, const Arguments& arguments) {
  std::string server = arguments.Text("--server", session.environment().server);
  if (server.empty() && session.environment().in_is_terminal) {
    session.environment().err << "Server (https://HOST[:PORT]): " << std::flush;
    std::getline(session.environment().in, server);
  }
  if (server.empty()) return UsageError("name the server: --server URL, or COCKROACH_SERVER");
  KEYHOLD_RETURN_IF_ERROR(CheckServer(server));
  return server;
}

std::string Who(const json& organization, const std::string& server) {
  return absl::StrCat("logged in to \"", Text(organization, "name"), "\" (", Text(organization, "label"),
                      ") at ", server);
}

Status Login(Session& session, const Arguments& arguments) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string server, ServerFor(session, arguments));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string key, ApiKeyFor(session, arguments));
  const ApiClient api({server, key}, session.environment().pause);
  session.output().Progress("Logging in");
  KEYHOLD_ASSIGN_OR_RETURN(const json organization, api.Get("/organization"));
  KEYHOLD_RETURN_IF_ERROR(
      WriteLogin(session.environment().config_dir, {server, key},
                 {Text(organization, "id"), Text(organization, "label"), Text(organization, "name")}));
  if (session.output().json()) {
    session.output().Json(organization);
  } else {
    session.output().Line("Success! " + Who(organization, server));
  }
  return OkStatus();
}

Status Whoami(Session& session, const Arguments&) {
  KEYHOLD_ASSIGN_OR_RETURN(const ApiClient api, session.Api());
  KEYHOLD_ASSIGN_OR_RETURN(const json organization, api.Get("/organization"));
  if (session.output().json()) {
    session.output().Json(organization);
  } else {
    session.output().Line(Who(organization, api.server()));
  }
  return OkStatus();
}

Status Logout(Session& session, const Arguments&) {
  KEYHOLD_ASSIGN_OR_RETURN(const bool removed, RemoveLogin(session.environment().config_dir));
  session.output().Line(removed ? "Success! Logged out" : "Nobody was logged in");
  if (!session.environment().api_key.empty()) {
    session.output().Note("COCKROACH_API_KEY is set and still used; `unset COCKROACH_API_KEY` ends that");
  }
  return OkStatus();
}

}  // namespace

std::vector<Command> AuthCommands() {
  return {
      {"auth login",
       "Check an API key with its server, and keep both",
       "ccloud auth login --server https://cloud.example.com --api-key-file key.txt",
       {},
       {{"--server", "URL", "The server (default: COCKROACH_SERVER, else it is asked for)"},
        {"--api-key-file", "FILE",
         "File with the API key, - for the input (default: COCKROACH_API_KEY, else it is asked for)"}},
       Login},
      {"auth whoami", "Show where this ccloud is logged in", "ccloud auth whoami", {}, {}, Whoami},
      {"auth logout", "Forget the kept API key", "ccloud auth logout", {}, {}, Logout},
  };
}

}  // namespace keyhold::cli
