// Whether a caller may do something to a resource: the policies of everything above it, and its own.
#pragma once

#include <string>
#include <vector>

#include "localcloud/gcp/call.h"
#include "localcloud/gcp/resource.h"

namespace keyhold::localcloud::gcp {

// What a permission is asked for on.
struct Target {
  std::string name, type, service;    // as conditions see it
  std::vector<std::string> policies;  // JSON: its own and those above it, as far as they are there
};

// The target that a Cloud KMS resource is.
Target TargetOf(Store& store, const Resource& resource);
// A project, and a service account in it.
Target TargetOfProject(Store& store, const std::string& project);
Target TargetOfAccount(Store& store, const std::string& email);

bool Allowed(const Call& call, const Target& target, std::string_view permission);

// OK, or PERMISSION_DENIED in Google's words.
Status Authorize(const Call& call, const Target& target, std::string_view permission);

// testIamPermissions: those of the request that the caller has.
StatusOr<Json> TestPermissions(const Call& call, const Target& target);

}  // namespace keyhold::localcloud::gcp
