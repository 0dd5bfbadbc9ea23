#include "control/regions.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

namespace keyhold::control {
namespace {

constexpr std::array<std::string_view, 3> kClouds = {"AWS", "GCP", "AZURE"};

// https://docs.aws.amazon.com/general/latest/gr/kms.html
constexpr CloudRegion kAws[] = {
    {"us-east-1", "N. Virginia"},
    {"us-east-2", "Ohio"},
    {"us-west-1", "N. California"},
    {"us-west-2", "Oregon"},
    {"ca-central-1", "Canada"},
    {"sa-east-1", "Sao Paulo"},
    {"eu-central-1", "Frankfurt"},
    {"eu-central-2", "Zurich"},
    {"eu-north-1", "Stockholm"},
    {"eu-south-1", "Milan"},
    {"eu-south-2", "Spain"},
    {"eu-west-1", "Ireland"},
    {"eu-west-2", "London"},
    {"eu-west-3", "Paris"},
    {"ap-east-1", "Hong Kong"},
    {"ap-northeast-1", "Tokyo"},
    {"ap-northeast-2", "Seoul"},
    {"ap-northeast-3", "Osaka"},
    {"ap-south-1", "Mumbai"},
    {"ap-south-2", "Hyderabad"},
    {"ap-southeast-1", "Singapore"},
    {"ap-southeast-2", "Sydney"},
    {"ap-southeast-3", "Jakarta"},
    {"ap-southeast-4", "Melbourne"},
    {"af-south-1", "Cape Town"},
    {"il-central-1", "Tel Aviv"},
    {"me-central-1", "UAE"},
    {"me-south-1", "Bahrain"},
    {"us-gov-east-1", "US GovCloud East"},
    {"us-gov-west-1", "US GovCloud West"},
    {"cn-north-1", "Beijing"},
    {"cn-northwest-1", "Ningxia"},
};

// https://cloud.google.com/kms/docs/locations
constexpr CloudRegion kGcp[] = {
    {"us-central1", "Iowa"},
    {"us-east1", "South Carolina"},
    {"us-east4", "N. Virginia"},
    {"us-east5", "Columbus"},
    {"us-south1", "Dallas"},
    {"us-west1", "Oregon"},
    {"us-west2", "Los Angeles"},
    {"us-west3", "Salt Lake City"},
    {"us-west4", "Las Vegas"},
    {"northamerica-northeast1", "Montreal"},
    {"northamerica-northeast2", "Toronto"},
    {"southamerica-east1", "Sao Paulo"},
    {"southamerica-west1", "Santiago"},
    {"europe-central2", "Warsaw"},
    {"europe-north1", "Finland"},
    {"europe-southwest1", "Madrid"},
    {"europe-west1", "Belgium"},
    {"europe-west2", "London"},
    {"europe-west3", "Frankfurt"},
    {"europe-west4", "Netherlands"},
    {"europe-west6", "Zurich"},
    {"europe-west8", "Milan"},
    {"europe-west9", "Paris"},
    {"asia-east1", "Taiwan"},
    {"asia-east2", "Hong Kong"},
    {"asia-northeast1", "Tokyo"},
    {"asia-northeast2", "Osaka"},
    {"asia-northeast3", "Seoul"},
    {"asia-south1", "Mumbai"},
    {"asia-south2", "Delhi"},
    {"asia-southeast1", "Singapore"},
    {"asia-southeast2", "Jakarta"},
    {"australia-southeast1", "Sydney"},
    {"australia-southeast2", "Melbourne"},
    {"me-west1", "Tel Aviv"},
};

// https://azure.microsoft.com/explore/global-infrastructure/geographies
constexpr CloudRegion kAzure[] = {
    {"eastus", "Virginia"},
    {"eastus2", "Virginia"},
    {"centralus", "Iowa"},
    {"northcentralus", "Illinois"},
    {"southcentralus", "Texas"},
    {"westus", "California"},
    {"westus2", "Washington"},
    {"westus3", "Phoenix"},
    {"canadacentral", "Toronto"},
    {"brazilsouth", "Sao Paulo"},
    {"northeurope", "Ireland"},
    {"westeurope", "Netherlands"},
    {"uksouth", "London"},
    {"francecentral", "Paris"},
    {"germanywestcentral", "Frankfurt"},
    {"norwayeast", "Norway"},
    {"swedencentral", "Gavle"},
    {"switzerlandnorth", "Zurich"},
    {"eastasia", "Hong Kong"},
    {"southeastasia", "Singapore"},
    {"japaneast", "Tokyo"},
    {"koreacentral", "Seoul"},
    {"centralindia", "Pune"},
    {"australiaeast", "New South Wales"},
    {"uaenorth", "Dubai"},
    {"southafricanorth", "Johannesburg"},
};

}  // namespace

std::span<const CloudRegion> RegionsOf(std::string_view cloud) {
  if (cloud == "AWS") return kAws;
  if (cloud == "GCP") return kGcp;
  if (cloud == "AZURE") return kAzure;
  return {};
}

std::span<const std::string_view> Clouds() { return kClouds; }

Status CheckCloudRegion(std::string_view cloud, std::string_view region) {
  const auto regions = RegionsOf(cloud);
  if (std::any_of(regions.begin(), regions.end(), [&](const CloudRegion& r) { return r.name == region; })) {
    return OkStatus();
  }
  const std::string_view example = regions.empty() ? "" : regions.front().name;
  return Error(
      Cause::kInvalidArgument,
      absl::StrCat(std::string(cloud), " has no region ", std::string(region.substr(0, 64)), "; one is ",
                   std::string(example), ", GET /api/v1/clusters/available-regions lists them all"));
}

}  // namespace keyhold::control
