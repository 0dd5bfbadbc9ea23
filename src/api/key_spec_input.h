// Key specs for regions, as several operations take them.
#pragma once

#include <vector>

#include "api/json_input.h"
#include "control/cmek.h"

namespace keyhold::api {

// The list of CMEKRegionSpecification at field `name`; empty where it is missing. The first error goes to
// `parent`.
std::vector<control::CmekRegionSpec> ReadRegionSpecs(ObjectReader& parent, const char* name);

}  // namespace keyhold::api
