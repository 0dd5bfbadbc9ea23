// Google Cloud resource names, as far as key specs have them.
//
// https://cloud.google.com/kms/docs/resource-hierarchy (names of key rings and keys: letters, digits, "_" and
// "-", at most 63) and https://cloud.google.com/resource-manager/docs/creating-managing-projects (projects).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::kms::gcp {

// The only hosts that this cloud's code ever calls, beside a machine's own metadata server.
inline constexpr std::string_view kKmsHost = "cloudkms.googleapis.com";
inline constexpr std::string_view kTokenHost = "oauth2.googleapis.com";
inline constexpr std::string_view kStsHost = "sts.googleapis.com";
inline constexpr std::string_view kIamHost = "iamcredentials.googleapis.com";

// projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY
struct KeyName {
  std::string project;  // its id: "my-project", or "example.com:my-project" for one of an old kind
  std::string location;
  std::string ring;
  std::string key;
};

// kInvalidArgument says how the name should be. A key version is refused: a key's primary version is Google's
// to follow, and a wrap names its own.
StatusOr<KeyName> ParseKeyName(std::string_view uri);

// Who may be an auth_principal: the e-mail address of a service account. kInvalidArgument for anything else.
Status CheckServiceAccount(std::string_view email);

// True when a key in `location` may serve a cluster in `region`: it is there, or everywhere ("global").
bool Serves(std::string_view location, std::string_view region);

// True when `version` names a version of the key `uri`; `id` is its number then.
bool IsVersionOf(std::string_view version, std::string_view uri, std::string* id);

}  // namespace keyhold::kms::gcp
