// The rows of the command table, group by group; commands.cc puts them together.
#pragma once

#include <vector>

#include "cli/command.h"

namespace keyhold::cli {

std::vector<Command> AuthCommands();
std::vector<Command> ClusterCommands();
std::vector<Command> ClusterChangeCommands();
std::vector<Command> CmekCommands();
std::vector<Command> CmekCheckCommands();
std::vector<Command> CmekDrillCommands();
std::vector<Command> CmekRecoveryCommands();
std::vector<Command> CmekRetireCommands();
std::vector<Command> SqlCommands();
std::vector<Command> UserCommands();
std::vector<Command> AllowlistCommands();
std::vector<Command> OrganizationCommands();
std::vector<Command> ServiceAccountCommands();
std::vector<Command> RoleCommands();
std::vector<Command> PolicyCommands();
std::vector<Command> ShellCommands();

}  // namespace keyhold::cli
