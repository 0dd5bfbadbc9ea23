// AWS STS, API version 2011-06-15: GetCallerIdentity and AssumeRole.
// docs.aws.amazon.com/STS/latest/APIReference.
#pragma once

#include <string>

#include "localcloud/aws/call.h"
#include "localcloud/aws/url.h"

namespace keyhold::localcloud::aws {

inline constexpr std::string_view kStsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/";

// The inner XML of the result element of `action`. Errors are AWS errors.
StatusOr<std::string> ServeSts(Call& call, const std::string& action, const Parameters& parameters);

}  // namespace keyhold::localcloud::aws
