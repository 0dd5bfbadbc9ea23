// Running psql in ccloud's place.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace keyhold::cli {

// An ExecPsql (environment.h): the password file is an anonymous memory file that only the descriptor names.
Status ExecPsqlProgram(const std::vector<std::string>& arguments, const std::string& password_file);

}  // namespace keyhold::cli
