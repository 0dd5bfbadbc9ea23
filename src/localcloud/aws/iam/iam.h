// As much of AWS IAM (API version 2010-05-08) as it takes to make users and roles and give them rights:
// access keys, trust policies and inline policies. docs.aws.amazon.com/IAM/latest/APIReference.
#pragma once

#include <string>

#include "localcloud/aws/call.h"
#include "localcloud/aws/url.h"

namespace keyhold::localcloud::aws {

inline constexpr std::string_view kIamNamespace = "https://iam.amazonaws.com/doc/2010-05-08/";

// The inner XML of the result element of `action`; "" for those that answer nothing. Errors are AWS errors.
StatusOr<std::string> ServeIam(Call& call, const std::string& action, const Parameters& parameters);

}  // namespace keyhold::localcloud::aws
