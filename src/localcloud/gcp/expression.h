// Conditions of IAM bindings: the part of the Common Expression Language that IAM documents for time and
// resource, https://cloud.google.com/iam/docs/conditions-overview.
//
//   request.time, resource.name, resource.type, resource.service; strings, timestamp('...'), true, false;
//   == != < <= > >=, && || !, parentheses; .startsWith() .endsWith() .contains() of strings
//
// Anything else is refused when a policy is set, never ignored when it is evaluated.
#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"

namespace keyhold::localcloud::gcp {

inline constexpr size_t kMaxExpression = 12 << 10;  // bytes

struct ExpressionContext {
  absl::Time time;
  std::string name, type, service;  // of the resource
};

// The value of `expression`. kInvalidArgument, with where, for one that is not understood or is no condition.
StatusOr<bool> EvaluateExpression(std::string_view expression, const ExpressionContext& context);

}  // namespace keyhold::localcloud::gcp
