// What operations of IAM have in common: reading and checking their parameters, pages of lists, and the
// inline policies of users and roles. docs.aws.amazon.com/IAM/latest/APIReference.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "localcloud/aws/call.h"
#include "localcloud/aws/url.h"

namespace keyhold::localcloud::aws {

struct IamCall {
  Call& call;
  const Parameters& parameters;
  const std::string& account;
};

// AccessDeniedException unless the caller may do what it asks on `resource` (ARN).
Status Authorize(const IamCall& iam, const std::string& resource);

// A required parameter with letters, digits and +=,.@_- alone.
StatusOr<std::string> Name(const IamCall& iam, std::string_view parameter, size_t max);
// Path and PathPrefix; "/" where they are absent.
StatusOr<std::string> Path(const IamCall& iam);
StatusOr<std::string> PathPrefix(const IamCall& iam);
// UnsupportedOperationException where Tags or PermissionsBoundary are asked for: they would have no effect.
Status RefuseUnsupported(const IamCall& iam);

// One page of `items`, sorted by their texts, which are unique, each with its XML: the element `name`,
// IsTruncated and Marker. MaxItems and Marker are the request's; a marker of another action is refused.
using ListItems = std::vector<std::pair<std::string, std::string>>;
StatusOr<std::string> ListXml(const IamCall& iam, std::string_view name, const ListItems& items);

// Whose inline policies: "user" or "role", its name, and how many bytes all of them may have without their
// white space.
struct PolicyQuota {
  std::string_view kind;
  const std::string& holder;
  size_t max_bytes;
};
StatusOr<std::string> PutPolicy(const IamCall& iam, InlinePolicies policies, const PolicyQuota& quota);
StatusOr<std::string> GetPolicy(const IamCall& iam, InlinePolicies policies, std::string_view kind);
StatusOr<std::string> ListPolicies(const IamCall& iam, InlinePolicies policies);
StatusOr<std::string> DeletePolicy(const IamCall& iam, InlinePolicies policies, std::string_view kind);

}  // namespace keyhold::localcloud::aws
