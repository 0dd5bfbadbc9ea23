// Running psql, in ccloud's place and beside it, and commands of the user.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/environment.h"

namespace keyhold::cli {

// An ExecPsql (environment.h): the password file is an anonymous memory file that only the descriptor names.
Status ExecPsqlProgram(const std::vector<std::string>& arguments, const std::string& password_file);

// A RunPsql. kUnavailable: there is no psql, or it has not ended after two minutes.
StatusOr<Ran> RunPsqlProgram(const std::vector<std::string>& arguments, const std::string& password_file);

// The same for `command`, by sh -c.
StatusOr<Ran> RunShellCommand(const std::string& command);

}  // namespace keyhold::cli
