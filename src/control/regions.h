// The regions that clusters can be in, per cloud: the names that the clouds' keys carry.
#pragma once

#include <span>
#include <string_view>

#include "base/status.h"

namespace keyhold::control {

struct CloudRegion {
  std::string_view name;      // us-east-1
  std::string_view location;  // N. Virginia
};

// Of "AWS", "GCP" or "AZURE"; empty for another name.
std::span<const CloudRegion> RegionsOf(std::string_view cloud);

// The clouds, as the Cloud API names them.
std::span<const std::string_view> Clouds();

// kInvalidArgument, with regions that there are, unless `cloud` has `region`.
Status CheckCloudRegion(std::string_view cloud, std::string_view region);

}  // namespace keyhold::control
