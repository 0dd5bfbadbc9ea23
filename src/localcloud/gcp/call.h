// One authenticated request on its way through a Google service, and what the access log will say of it.
//
// Everything it points to lives as long as the request. Used by one thread.
#pragma once

#include <map>
#include <string>

#include "localcloud/access_log.h"
#include "localcloud/gcp/fields.h"
#include "localcloud/gcp/policy.h"
#include "localcloud/gcp/store.h"
#include "localcloud/gcp/token.h"

namespace keyhold::localcloud::gcp {

struct Call {
  const std::string method;
  const std::string path;                          // decoded, without "/v1/" or "/v3/"
  const std::map<std::string, std::string> query;  // decoded
  const Json& body;                                // {} where there is none
  const Principal principal;
  const absl::Time now;
  Store& store;
  const Vault& vault;
  AccessEntry& record;

  std::string Query(const std::string& name) const;
};

// The policy of text `policy` for getIamPolicy, and the policy after setIamPolicy of `body`.
StatusOr<Json> AnswerPolicy(const Call& call, const std::string& policy);
StatusOr<Json> NewPolicy(const Call& call, const std::string& policy);

// One page of `items` (each with its place in `names`, in their order) by pageSize and pageToken, under
// `field`.
StatusOr<Json> Page(const Call& call, const char* field, const std::vector<std::string>& names, Json items);

}  // namespace keyhold::localcloud::gcp
