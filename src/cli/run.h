// The whole of ccloud: one command line in, its exit code out. docs/ccloud.md is its user's page.
#pragma once

#include <string>
#include <vector>

#include "cli/environment.h"

namespace keyhold::cli {

// `arguments` without the program's name. Data goes to `environment.out`; errors are one line on
// `environment.err`, starting "Error: ". The result is one of exit_code.h.
int Run(const std::vector<std::string>& arguments, Environment& environment);

}  // namespace keyhold::cli
