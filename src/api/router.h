// Which handler a request belongs to: one table for everything that the server answers.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "api/request.h"
#include "api/services.h"

namespace keyhold::api {

// Who may call.
enum class Access { kOpen, kApiKey, kAgent };

// Where a caller must have one of a route's roles.
enum class Scope {
  kMember,        // nowhere: every account of the organization may
  kOrganization,  // on the organization
  kCluster,       // on the organization, or on the cluster of the path
  kAnywhere,  // on the organization, or on any cluster; the handler shows and changes only what is allowed
};

using RoleSet = uint16_t;  // bit N: the Role of that value

template <typename... Roles>
constexpr RoleSet RolesOf(Roles... roles) {
  return static_cast<RoleSet>((0U | ... | (1U << static_cast<unsigned>(roles))));
}

using Handler = StatusOr<Reply> (*)(Services&, const Request&);

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/api/v1/clusters/{cluster_id}": a {name} stands for one segment
  Access access = Access::kApiKey;
  Handler handler = nullptr;  // null: an operation of the Cloud API that is not built
  Scope scope = Scope::kMember;
  RoleSet roles = 0;
  std::string_view action = "";  // of the audit log, without AUDIT_LOG_ACTION_; of changes
};

// Every operation of the Cloud API that Keyhold knows of with the roles that may call it, the agent API, and
// the rest.
std::span<const Route> Routes();

struct Match {
  const Route* route = nullptr;
  std::map<std::string, std::string> path;  // decoded
  bool other_method = false;                // no route, but the path has one for another method
};

// kPermissionDenied names the roles that would do; kNotFound (of the cluster in the path) where the caller
// may not even know whether it is there.
Status Authorize(const Route& route, const Request& request);

// Whether `caller` may see the cluster at all.
bool MaySee(const control::Caller& caller, const std::string& cluster_id);

// `target` is the request's, as it came: percent-encoded, perhaps with a query. A pattern without names wins
// over one with.
Match FindRoute(std::string_view method, std::string_view target);

// Percent-decoding, RFC 3986 section 2.1. What is no escape stays as it is.
std::string Decode(std::string_view text);

}  // namespace keyhold::api
