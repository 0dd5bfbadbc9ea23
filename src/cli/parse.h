// A command line against the command table. The argument parser is compiled here and nowhere else.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/output.h"

namespace keyhold::cli {

struct Invocation {
  const Command* command = nullptr;  // none: `help` is to be printed
  Arguments arguments{{}};
  std::string help;
  bool json = false;         // -o json
  bool quiet = false;        // -q
  bool hide_header = false;  // --hide-header
};

// What is to be run, or the help text that was asked for. A UsageError says what is wrong with `arguments`.
StatusOr<Invocation> ParseArguments(const std::vector<std::string>& arguments);

}  // namespace keyhold::cli
