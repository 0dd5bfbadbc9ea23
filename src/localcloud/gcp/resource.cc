#include "localcloud/gcp/resource.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace keyhold::localcloud::gcp {
namespace {

constexpr std::array<absl::string_view, 5> kCollections = {"projects", "locations", "keyRings", "cryptoKeys",
                                                           "cryptoKeyVersions"};

bool IsHostChar(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-'; }

bool IsProject(absl::string_view id) {
  const auto fits = [](char c) { return IsHostChar(c) || c == '.' || c == ':'; };
  return !id.empty() && id.size() <= 64 && absl::ascii_islower(id[0]) &&
         std::all_of(id.begin(), id.end(), fits) && !absl::StrContains(id, "..");
}

bool IsLocation(absl::string_view id) {
  return !id.empty() && id.size() <= 32 && std::all_of(id.begin(), id.end(), IsHostChar);
}

bool IsVersion(absl::string_view id) {
  return !id.empty() && id.size() <= 9 && id[0] != '0' &&
         std::all_of(id.begin(), id.end(), absl::ascii_isdigit);
}

bool IsNameChar(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-'; }

}  // namespace

std::string Resource::Name() const {
  switch (level) {
    case Level::kLocations:
      return ProjectName();
    case Level::kLocation:
    case Level::kRings:
      return LocationName();
    case Level::kRing:
    case Level::kKeys:
      return RingName();
    case Level::kKey:
    case Level::kVersions:
      return KeyName();
    case Level::kVersion:
      return VersionName();
  }
  return "";
}

std::string Resource::Type() const {
  const std::string service = "cloudkms.googleapis.com/";
  if (level >= Level::kVersion) return service + "CryptoKeyVersion";
  if (level >= Level::kKey) return service + "CryptoKey";
  if (level >= Level::kRing) return service + "KeyRing";
  return service + "Location";
}

std::optional<Resource> ParseResource(std::string_view path) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(absl::string_view(path.data(), path.size()), '/');
  if (parts.size() < 3 || parts.size() > 10) return std::nullopt;
  for (size_t i = 0; i < parts.size(); i += 2) {
    if (parts[i] != kCollections[i / 2]) return std::nullopt;
  }
  const auto at = [&](size_t i) { return i < parts.size() ? std::string(parts[i]) : std::string(); };
  Resource out{static_cast<Level>(parts.size() - 3), at(1), at(3), at(5), at(7), at(9)};
  const bool valid = IsProject(parts[1]) && (parts.size() < 4 || IsLocation(parts[3])) &&
                     (parts.size() < 6 || IsResourceId(out.ring)) &&
                     (parts.size() < 8 || IsResourceId(out.key)) &&
                     (parts.size() < 10 || IsVersion(parts[9]));
  return valid ? std::optional(std::move(out)) : std::nullopt;
}

std::pair<std::string, std::string> SplitVerb(std::string_view path) {
  const size_t slash = path.rfind('/');
  const size_t colon = path.rfind(':');
  // An old project's id ("example.com:name") has a colon, and is never last but for projects themselves.
  if (colon == std::string_view::npos || (slash != std::string_view::npos && colon < slash)) {
    return {std::string(path), ""};
  }
  return {std::string(path.substr(0, colon)), std::string(path.substr(colon + 1))};
}

bool IsResourceId(std::string_view id) {
  return !id.empty() && id.size() <= 63 && std::all_of(id.begin(), id.end(), IsNameChar);
}

}  // namespace keyhold::localcloud::gcp
