// The Condition element of a policy statement.
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "localcloud/aws/policy.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::aws {

// One operator with one key and its values. All of a statement's must hold.
struct Condition {
  enum class Set { kSingle, kForAllValues, kForAnyValue };
  // Whether `actual` (of the request) fits `wanted` (of the policy).
  using Test = bool (*)(const std::string& wanted, const std::string& actual);

  Test test = nullptr;  // null: the operator Null
  bool negated = false;
  bool if_exists = false;
  Set set = Set::kSingle;
  std::string key;  // lower case
  std::vector<std::string> values;

  bool Holds(const ConditionContext& context) const;
};

// kInvalidArgument with what is wrong: an unknown operator, values that are not of its type.
StatusOr<std::vector<Condition>> ParseConditions(const Json& element);

}  // namespace keyhold::localcloud::aws
