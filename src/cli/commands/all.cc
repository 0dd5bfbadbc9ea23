#include <map>

#include "cli/command.h"
#include "cli/commands/groups.h"

namespace keyhold::cli {

const std::vector<Command>& AllCommands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> commands;
    for (auto* group : {AuthCommands, ClusterCommands, ClusterChangeCommands, CmekCommands, CmekCheckCommands,
                        CmekDrillCommands, CmekRecoveryCommands, CmekRetireCommands, SqlCommands,
                        UserCommands, AllowlistCommands, OrganizationCommands, ServiceAccountCommands,
                        RoleCommands, PolicyCommands, ShellCommands}) {
      for (Command& command : group()) commands.push_back(std::move(command));
    }
    return commands;
  }();
  return all;
}

std::string GroupSummary(const std::string& path) {
  static const std::map<std::string, std::string> summaries = {
      {"auth", "Log in to a server, and out"},
      {"cluster", "Clusters, their keys, users and networks"},
      {"cluster cmek", "Customer-managed encryption keys of a cluster"},
      {"cluster cmek policy", "What a cluster does while its KMS does not answer"},
      {"cluster cmek recovery",
       "A key that opens a cluster's stores when its KMS is lost, shared among people"},
      {"cmek", "What a CMEK key needs, and whether it has it"},
      {"cluster user", "SQL users of a cluster"},
      {"cluster networking", "Who may connect to a cluster"},
      {"cluster networking allowlist", "Networks that may connect to a cluster"},
      {"organization", "The organization"},
      {"org", "The organization"},
      {"audit", "Who did what"},
      {"service-account", "Service accounts"},
      {"service-account api-key", "API keys"},
      {"role", "Who may do what"},
      {"completion", "Completion scripts for shells"},
  };
  const auto found = summaries.find(path);
  return found == summaries.end() ? "" : found->second;
}

}  // namespace keyhold::cli
