// A cluster's recovery key as text, for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace keyhold::cli {

// `recovery` as docs/api.md has it. Empty where there is no recovery key and none was ever used.
std::vector<std::string> RecoveryLines(const nlohmann::json& recovery);

}  // namespace keyhold::cli
