// Resource names of Cloud KMS, from the path of a URL.
//
// https://cloud.google.com/kms/docs/reference/rest: projects/P/locations/L/keyRings/R/cryptoKeys/K/
// cryptoKeyVersions/V, and the collections on the way.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keyhold::localcloud::gcp {

enum class Level {
  kLocations,  // projects/P/locations
  kLocation,
  kRings,
  kRing,
  kKeys,
  kKey,
  kVersions,
  kVersion,
};

struct Resource {
  Level level = Level::kLocations;
  std::string project, location, ring, key, version;  // as far as the level has them

  std::string Name() const;  // without the collection's last word: that of what stands above it
  std::string ProjectName() const { return "projects/" + project; }
  std::string LocationName() const { return ProjectName() + "/locations/" + location; }
  std::string RingName() const { return LocationName() + "/keyRings/" + ring; }
  std::string KeyName() const { return RingName() + "/cryptoKeys/" + key; }
  std::string VersionName() const { return KeyName() + "/cryptoKeyVersions/" + version; }

  // "cloudkms.googleapis.com/CryptoKey": what conditions call resource.type.
  std::string Type() const;
};

// Of "projects/P/locations/...", nothing else around it. Nothing for anything else.
std::optional<Resource> ParseResource(std::string_view path);

// A path's "NAME:verb"; verb is empty where there is none.
std::pair<std::string, std::string> SplitVerb(std::string_view path);

// What may be the id of a key ring or key: letters, digits, "_" and "-", 1 to 63.
bool IsResourceId(std::string_view id);

}  // namespace keyhold::localcloud::gcp
