#include "localcloud/aws/condition.h"

#include <arpa/inet.h>

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace keyhold::localcloud::aws {
namespace {

using Text = std::string;

template <typename T, typename Compare>
bool Ordered(const std::optional<T>& actual, const std::optional<T>& wanted, Compare compare) {
  return actual && wanted && compare(*actual, *wanted);
}

std::optional<double> Number(const Text& text) {
  double value = 0;
  return absl::SimpleAtod(text, &value) ? std::optional(value) : std::nullopt;
}

std::optional<absl::Time> Date(const Text& text) {
  absl::Time time;
  int64_t seconds = 0;
  if (absl::SimpleAtoi(text, &seconds)) return absl::FromUnixSeconds(seconds);
  for (const char* format : {"%Y-%m-%dT%H:%M:%E*S%Ez", "%Y-%m-%d"}) {
    if (absl::ParseTime(format, text, &time, nullptr)) return time;
  }
  return std::nullopt;
}

// Whether the first `prefix` bits of two addresses of one family agree.
bool SamePrefix(const Text& a, const Text& b, int family, int bits, int prefix) {
  uint8_t left[16], right[16];
  if (inet_pton(family, a.c_str(), left) != 1 || inet_pton(family, b.c_str(), right) != 1) return false;
  if (prefix < 0) prefix = bits;
  if (prefix > bits) return false;
  int bytes = prefix / 8;
  int rest = prefix % 8;
  if (memcmp(left, right, static_cast<size_t>(bytes)) != 0) return false;
  return rest == 0 || (left[bytes] ^ right[bytes]) >> (8 - rest) == 0;
}

bool InNetwork(const Text& wanted, const Text& actual) {
  std::pair<Text, Text> parts = absl::StrSplit(wanted, absl::MaxSplits('/', 1));
  int prefix = -1;
  if (!parts.second.empty() && !absl::SimpleAtoi(parts.second, &prefix)) return false;
  return SamePrefix(parts.first, actual, AF_INET, 32, prefix) ||
         SamePrefix(parts.first, actual, AF_INET6, 128, prefix);
}

// Each of the six parts of an ARN on its own, so that '*' does not reach over a colon.
bool ArnMatch(const Text& wanted, const Text& actual) {
  std::vector<Text> patterns = absl::StrSplit(wanted, absl::MaxSplits(':', 5));
  std::vector<Text> parts = absl::StrSplit(actual, absl::MaxSplits(':', 5));
  if (patterns.size() != 6 || parts.size() != 6) return false;
  for (size_t i = 0; i < 6; i++) {
    if (!WildcardMatch(patterns[i], parts[i])) return false;
  }
  return true;
}

struct Operator {
  absl::string_view name;
  Condition::Test test;
  bool negated;
};

constexpr Operator kOperators[] = {
    {"StringEquals", [](const Text& w, const Text& a) { return w == a; }, false},
    {"StringNotEquals", [](const Text& w, const Text& a) { return w == a; }, true},
    {"StringEqualsIgnoreCase", [](const Text& w, const Text& a) { return absl::EqualsIgnoreCase(w, a); },
     false},
    {"StringNotEqualsIgnoreCase", [](const Text& w, const Text& a) { return absl::EqualsIgnoreCase(w, a); },
     true},
    {"StringLike", [](const Text& w, const Text& a) { return WildcardMatch(w, a); }, false},
    {"StringNotLike", [](const Text& w, const Text& a) { return WildcardMatch(w, a); }, true},
    {"Bool", [](const Text& w, const Text& a) { return absl::EqualsIgnoreCase(w, a); }, false},
    {"NumericEquals",
     [](const Text& w, const Text& a) { return Ordered(Number(a), Number(w), std::equal_to<>()); }, false},
    {"NumericNotEquals",
     [](const Text& w, const Text& a) { return Ordered(Number(a), Number(w), std::equal_to<>()); }, true},
    {"NumericLessThan",
     [](const Text& w, const Text& a) { return Ordered(Number(a), Number(w), std::less<>()); }, false},
    {"NumericLessThanEquals",
     [](const Text& w, const Text& a) { return Ordered(Number(a), Number(w), std::less_equal<>()); }, false},
    {"NumericGreaterThan",
     [](const Text& w, const Text& a) { return Ordered(Number(a), Number(w), std::greater<>()); }, false},
    {"NumericGreaterThanEquals",
     [](const Text& w, const Text& a) { return Ordered(Number(a), Number(w), std::greater_equal<>()); },
     false},
    {"DateEquals", [](const Text& w, const Text& a) { return Ordered(Date(a), Date(w), std::equal_to<>()); },
     false},
    {"DateNotEquals",
     [](const Text& w, const Text& a) { return Ordered(Date(a), Date(w), std::equal_to<>()); }, true},
    {"DateLessThan", [](const Text& w, const Text& a) { return Ordered(Date(a), Date(w), std::less<>()); },
     false},
    {"DateLessThanEquals",
     [](const Text& w, const Text& a) { return Ordered(Date(a), Date(w), std::less_equal<>()); }, false},
    {"DateGreaterThan",
     [](const Text& w, const Text& a) { return Ordered(Date(a), Date(w), std::greater<>()); }, false},
    {"DateGreaterThanEquals",
     [](const Text& w, const Text& a) { return Ordered(Date(a), Date(w), std::greater_equal<>()); }, false},
    {"IpAddress", InNetwork, false},
    {"NotIpAddress", InNetwork, true},
    {"ArnEquals", ArnMatch, false},
    {"ArnLike", ArnMatch, false},
    {"ArnNotEquals", ArnMatch, true},
    {"ArnNotLike", ArnMatch, true},
    {"Null", nullptr, false},
};

Status ParseOperator(absl::string_view name, Condition& out) {
  if (absl::ConsumePrefix(&name, "ForAllValues:")) out.set = Condition::Set::kForAllValues;
  if (absl::ConsumePrefix(&name, "ForAnyValue:")) out.set = Condition::Set::kForAnyValue;
  out.if_exists = absl::ConsumeSuffix(&name, "IfExists");
  for (const Operator& known : kOperators) {
    if (known.name != name) continue;
    out.test = known.test;
    out.negated = known.negated;
    return OkStatus();
  }
  return Error(Cause::kInvalidArgument, absl::StrCat("unknown condition operator '", name, "'"));
}

StatusOr<std::string> ScalarText(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  return Error(Cause::kInvalidArgument, "a condition value must be a string, a number or a boolean");
}

StatusOr<std::vector<std::string>> ParseValues(const Json& element) {
  std::vector<std::string> values;
  for (const Json& value : element.is_array() ? element : Json::array({element})) {
    KEYHOLD_ASSIGN_OR_RETURN(std::string text, ScalarText(value));
    values.push_back(std::move(text));
  }
  return values;
}

}  // namespace

bool Condition::Holds(const ConditionContext& context) const {
  auto found = context.find(key);
  bool present = found != context.end() && !found->second.empty();
  if (test == nullptr) {
    return absl::c_any_of(values, [present](const Text& v) { return (v == "true") == !present; });
  }
  if (!present) return if_exists || negated || set == Set::kForAllValues;
  auto fits = [this](const std::string& actual) {
    bool any = absl::c_any_of(values, [&](const std::string& wanted) { return test(wanted, actual); });
    return any != negated;
  };
  return set == Set::kForAnyValue ? absl::c_any_of(found->second, fits) : absl::c_all_of(found->second, fits);
}

StatusOr<std::vector<Condition>> ParseConditions(const Json& element) {
  std::vector<Condition> conditions;
  if (!element.is_object()) return Error(Cause::kInvalidArgument, "Condition must be an object");
  for (const auto& [name, keys] : element.items()) {
    if (!keys.is_object()) return Error(Cause::kInvalidArgument, "each condition operator takes an object");
    for (const auto& [key, values] : keys.items()) {
      Condition condition;
      KEYHOLD_RETURN_IF_ERROR(ParseOperator(name, condition));
      condition.key = absl::AsciiStrToLower(key);
      KEYHOLD_ASSIGN_OR_RETURN(condition.values, ParseValues(values));
      conditions.push_back(std::move(condition));
    }
  }
  return conditions;
}

}  // namespace keyhold::localcloud::aws
