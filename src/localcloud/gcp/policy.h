// IAM policies: bindings of members to roles, their conditions and etags, and what they allow.
//
// https://cloud.google.com/iam/docs/reference/rest/v1/Policy. Custom roles, deny policies and groups' members
// are not here: a binding of a group or a federated principal is kept and never holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "crypto/random.h"
#include "localcloud/gcp/expression.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::gcp {

// Who asks: "serviceAccount:EMAIL".
struct Principal {
  std::string email;
  std::string Member() const { return "serviceAccount:" + email; }
};

// The policy of what has none yet.
Json EmptyPolicy();

// What setIamPolicy makes of `current` and `wanted`, with a new etag. INVALID_ARGUMENT: an unknown role, a
// member of no known form, a condition that is not understood or comes without version 3. ABORTED: `wanted`
// has the etag of another policy than `current`.
StatusOr<Json> ReplacePolicy(const Json& current, const Json& wanted, crypto::Random& random);

// `policy` as getIamPolicy answers it to a client that knows version `requested`: conditional bindings are
// only for version 3.
Json PolicyForVersion(const Json& policy, int requested);

// Whether `policy` gives `principal` the `permission` on the resource of `context`.
bool Allows(const Json& policy, const Principal& principal, std::string_view permission,
            const ExpressionContext& context);

// Whether the predefined `role` has `permission`.
bool RoleHas(std::string_view role, std::string_view permission);

// The e-mail addresses of the service accounts that `policy` names.
std::vector<std::string> ServiceAccountsOf(const Json& policy);

}  // namespace keyhold::localcloud::gcp
