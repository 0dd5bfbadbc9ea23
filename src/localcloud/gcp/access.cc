#include "localcloud/gcp/access.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "localcloud/gcp/error.h"

namespace keyhold::localcloud::gcp {

Target TargetOf(Store& store, const Resource& resource) {
  Target target{resource.Name(), resource.Type(), "cloudkms.googleapis.com", {}};
  if (const auto project = store.FindProject(resource.project)) target.policies.push_back(project->policy);
  if (const auto ring = store.FindRing(resource.RingName())) target.policies.push_back(ring->policy);
  if (const auto key = store.FindKey(resource.KeyName())) target.policies.push_back(key->policy);
  return target;
}

Target TargetOfProject(Store& store, const std::string& project) {
  Target target{"projects/" + project,
                "cloudresourcemanager.googleapis.com/Project",
                "cloudresourcemanager.googleapis.com",
                {}};
  if (const auto found = store.FindProject(project)) target.policies.push_back(found->policy);
  return target;
}

Target TargetOfAccount(Store& store, const std::string& email) {
  Target target{
      "projects/-/serviceAccounts/" + email, "iam.googleapis.com/ServiceAccount", "iam.googleapis.com", {}};
  const auto account = store.FindAccount(email);
  if (!account) return target;
  target.policies.push_back(account->policy);
  if (const auto project = store.FindProject(account->project)) target.policies.push_back(project->policy);
  return target;
}

bool Allowed(const Call& call, const Target& target, std::string_view permission) {
  const ExpressionContext context{call.now, target.name, target.type, target.service};
  return std::any_of(target.policies.begin(), target.policies.end(), [&](const std::string& policy) {
    return Allows(Json::parse(policy), call.principal, permission, context);
  });
}

Status Authorize(const Call& call, const Target& target, std::string_view permission) {
  if (Allowed(call, target, permission)) return OkStatus();
  const std::string name(permission);
  return GcpError(
      "PERMISSION_DENIED",
      absl::StrCat("Permission '", name, "' denied on resource '", target.name, "' (or it may not exist)."),
      ErrorInfo("IAM_PERMISSION_DENIED", "iam.googleapis.com",
                {{"permission", name}, {"resource", target.name}}));
}

StatusOr<Json> TestPermissions(const Call& call, const Target& target) {
  Json out = Json::object();
  const Json asked = call.body.value("permissions", Json::array());
  if (!asked.is_array() || asked.size() > 100) {
    return Invalid("The permissions of the request are a list of at most 100.");
  }
  for (const Json& permission : asked) {
    if (!permission.is_string() || absl::StrContains(permission.get<std::string>(), "*")) {
      return Invalid("A permission is a name without wildcards.");
    }
    if (Allowed(call, target, permission.get<std::string>())) out["permissions"].push_back(permission);
  }
  return out;
}

}  // namespace keyhold::localcloud::gcp
