#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "localcloud/gcp/error.h"
#include "localcloud/gcp/kms/operations.h"

namespace keyhold::localcloud::gcp {
namespace {

// https://cloud.google.com/kms/docs/locations
constexpr std::string_view kLocations[] = {"africa-south1",
                                           "asia",
                                           "asia-east1",
                                           "asia-east2",
                                           "asia-northeast1",
                                           "asia-northeast2",
                                           "asia-northeast3",
                                           "asia-south1",
                                           "asia-south2",
                                           "asia-southeast1",
                                           "asia-southeast2",
                                           "australia-southeast1",
                                           "australia-southeast2",
                                           "eur4",
                                           "europe",
                                           "europe-central2",
                                           "europe-north1",
                                           "europe-southwest1",
                                           "europe-west1",
                                           "europe-west10",
                                           "europe-west12",
                                           "europe-west2",
                                           "europe-west3",
                                           "europe-west4",
                                           "europe-west6",
                                           "europe-west8",
                                           "europe-west9",
                                           "global",
                                           "me-central1",
                                           "me-central2",
                                           "me-west1",
                                           "nam4",
                                           "northamerica-northeast1",
                                           "northamerica-northeast2",
                                           "northamerica-south1",
                                           "southamerica-east1",
                                           "southamerica-west1",
                                           "us",
                                           "us-central1",
                                           "us-east1",
                                           "us-east4",
                                           "us-east5",
                                           "us-south1",
                                           "us-west1",
                                           "us-west2",
                                           "us-west3",
                                           "us-west4"};

bool IsKnownLocation(std::string_view name) {
  return std::find(std::begin(kLocations), std::end(kLocations), name) != std::end(kLocations);
}

Json LocationJson(const std::string& project, std::string_view location) {
  const std::string id(location);
  return {{"name", absl::StrCat("projects/", project, "/locations/", id)},
          {"locationId", id},
          {"displayName", id},
          {"metadata",
           {{"@type", "type.googleapis.com/google.cloud.kms.v1.LocationMetadata"}, {"hsmAvailable", true}}}};
}

Json RingJson(const KeyRing& ring) { return {{"name", ring.name}, {"createTime", TimeText(ring.created)}}; }

Status CheckLocation(const Resource& resource) {
  if (IsKnownLocation(resource.location)) return OkStatus();
  return GcpError("NOT_FOUND", absl::StrCat("Location ", resource.LocationName(), " not found."));
}

}  // namespace

StatusOr<Json> ListLocations(Call& call, const Resource& resource) {
  std::vector<std::string> names;
  Json items = Json::array();
  for (const std::string_view location : kLocations) {
    names.emplace_back(location);
    items.push_back(LocationJson(resource.project, location));
  }
  KEYHOLD_ASSIGN_OR_RETURN(Json page, Page(call, "locations", names, std::move(items)));
  page.erase("totalSize");
  return page;
}

StatusOr<Json> GetLocation(Call&, const Resource& resource) {
  KEYHOLD_RETURN_IF_ERROR(CheckLocation(resource));
  return LocationJson(resource.project, resource.location);
}

StatusOr<Json> CreateKeyRing(Call& call, const Resource& resource) {
  KEYHOLD_RETURN_IF_ERROR(CheckLocation(resource));
  Resource made = resource;
  made.level = Level::kRing;
  made.ring = call.Query("keyRingId");
  if (!IsResourceId(made.ring)) {
    return Invalid("The key_ring_id must match [a-zA-Z0-9_-]{1,63}.");
  }
  if (call.store.FindRing(made.RingName())) {
    return GcpError("ALREADY_EXISTS", absl::StrCat("KeyRing ", made.RingName(), " already exists."));
  }
  const KeyRing ring{made.RingName(), EmptyPolicy().dump(), call.now};
  call.record.key = ring.name;
  call.store.PutRing(ring);
  return RingJson(ring);
}

StatusOr<Json> ListKeyRings(Call& call, const Resource& resource) {
  std::vector<std::string> names;
  Json items = Json::array();
  for (const KeyRing& ring : call.store.Rings(resource.LocationName())) {
    names.push_back(ring.name);
    items.push_back(RingJson(ring));
  }
  return Page(call, "keyRings", names, std::move(items));
}

StatusOr<Json> GetKeyRing(Call& call, const Resource& resource) {
  KEYHOLD_ASSIGN_OR_RETURN(const KeyRing ring, RingOf(call.store, resource));
  return RingJson(ring);
}

StatusOr<KeyRing> RingOf(Store& store, const Resource& resource) {
  auto ring = store.FindRing(resource.RingName());
  if (ring) return *std::move(ring);
  return GcpError("NOT_FOUND", absl::StrCat("KeyRing ", resource.RingName(), " not found."));
}

}  // namespace keyhold::localcloud::gcp
