// The value of --cmek-key-spec: one key spec, {"region_specs": [...]}, or @FILE with either.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"

namespace keyhold::cli {

inline constexpr size_t kMaxKeySpec = 1u << 20;  // bytes
inline constexpr int kMaxKeySpecDepth = 32;

// `text` as the body of the API's CMEK calls: a single key spec becomes one region spec for each of
// `regions`. Checks that it is JSON of that form, its size and its depth; what is in it is the server's to
// judge. A UsageError names what is wrong.
StatusOr<nlohmann::json> ParseKeySpec(const std::string& text, const std::vector<std::string>& regions);

}  // namespace keyhold::cli
