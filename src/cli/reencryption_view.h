// How far a region's re-encryption is, in a line for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace keyhold::cli {

// Of `reencryption` of a CMEKRegionInfo: "43.2 %, rewriting at 30 MiB/s, about 40 s left". Empty where there
// is none.
std::string ReencryptionLine(const nlohmann::json& reencryption);

}  // namespace keyhold::cli
