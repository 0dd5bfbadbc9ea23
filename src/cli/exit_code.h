// ccloud's exit codes, in one place.
#pragma once

#include <string_view>

#include "base/status.h"

namespace keyhold::cli {

enum ExitCode : int {
  kSuccess = 0,
  kFailure = 1,  // it was tried, and failed; or the server refused it
  kUsage = 2,    // the command line is wrong; nothing was sent
};

// The same for people, one line each.
inline constexpr char kExitCodes[] =
    "Exit codes:\n"
    "  0  done\n"
    "  1  tried and failed, or refused by the server\n"
    "  2  the command line is wrong; nothing was sent\n";

// kInvalidArgument for what is wrong with the command line itself: ExitCodeOf() makes kUsage of it.
Status UsageError(std::string_view message);

// kSuccess for OK.
ExitCode ExitCodeOf(const Status& status);

}  // namespace keyhold::cli
