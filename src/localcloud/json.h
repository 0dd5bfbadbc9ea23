// JSON from outside: parsed with a limit on nesting, never by exception.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/status.h"

namespace keyhold::localcloud {

using Json = nlohmann::json;

inline constexpr int kMaxJsonDepth = 32;

// kInvalidArgument: not JSON, not UTF-8, or nested deeper than kMaxJsonDepth.
StatusOr<Json> ParseJson(std::string_view text);

}  // namespace keyhold::localcloud
