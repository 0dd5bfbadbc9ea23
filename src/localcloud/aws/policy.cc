#include "localcloud/aws/policy.h"

#include <nlohmann/json.hpp>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "localcloud/aws/arn.h"
#include "localcloud/aws/condition.h"
#include "localcloud/aws/error.h"
#include "localcloud/json.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kEveryone[] = "*";

Status Malformed(std::string_view message) { return AwsError("MalformedPolicyDocumentException", message); }

// A string or an array of strings.
StatusOr<std::vector<std::string>> ParseStrings(const Json& element, std::string_view name) {
  std::vector<std::string> out;
  for (const Json& value : element.is_array() ? element : Json::array({element})) {
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
      return Malformed(absl::StrCat("Syntax errors in policy: ", std::string(name), " must hold strings."));
    }
    out.push_back(value.get<std::string>());
  }
  if (out.empty())
    return Malformed(absl::StrCat("Syntax errors in policy: ", std::string(name), " is empty."));
  return out;
}

Status InvalidPrincipal() {
  return Malformed("Policy contains a statement with one or more invalid principals.");
}

// An AWS principal in the form in which it is compared: "*", a root, user, role or session ARN.
StatusOr<std::string> CanonicalPrincipal(const std::string& text) {
  if (text == kEveryone) return text;
  if (IsAccountId(text)) return RootArn(text);
  auto arn = ParseArn(text);
  if (!arn.ok() || !arn->region.empty() || !IsAccountId(arn->account)) return InvalidPrincipal();
  bool wildcard = absl::StrContains(text, "*") || absl::StrContains(text, "?");
  bool iam = arn->service == "iam" && (arn->resource == "root" || absl::StartsWith(arn->resource, "user/") ||
                                       absl::StartsWith(arn->resource, "role/"));
  bool session = arn->service == "sts" && absl::StartsWith(arn->resource, "assumed-role/");
  if (wildcard || !(iam || session)) return InvalidPrincipal();
  return text;
}

StatusOr<std::vector<std::string>> ParsePrincipals(const Json& element) {
  std::vector<std::string> out;
  if (element.is_string() && element.get_ref<const std::string&>() == kEveryone)
    return std::vector{element.get<std::string>()};
  if (!element.is_object() || element.empty()) return InvalidPrincipal();
  for (const auto& [type, names] : element.items()) {
    KEYHOLD_ASSIGN_OR_RETURN(std::vector<std::string> values, ParseStrings(names, "Principal"));
    if (type == "Service" || type == "Federated" || type == "CanonicalUser")
      continue;  // none of these call here
    if (type != "AWS") return InvalidPrincipal();
    for (const std::string& value : values) {
      KEYHOLD_ASSIGN_OR_RETURN(std::string canonical, CanonicalPrincipal(value));
      out.push_back(std::move(canonical));
    }
  }
  return out;
}

// How well one named principal fits the caller.
Decision MatchPrincipal(const std::string& named, const Principal& caller) {
  if (named == kEveryone || named == caller.arn || named == caller.role_arn) return Decision::kAllow;
  return named == RootArn(caller.account) ? Decision::kAllowAccount : Decision::kNothing;
}

bool MatchAction(const std::string& pattern, const std::string& action) {
  return WildcardMatch(absl::AsciiStrToLower(pattern), absl::AsciiStrToLower(action));
}

// A list of patterns, of which one must fit, or none where the element was NotAction and its like.
struct Patterns {
  std::vector<std::string> values;
  bool negated = false;
};

template <typename Fits>
bool Matches(const Patterns& patterns, Fits fits) {
  return absl::c_any_of(patterns.values, fits) != patterns.negated;
}

// `name` or Not`name`, exactly one of them.
StatusOr<Patterns> ParsePatterns(const Json& statement, const std::string& name,
                                 StatusOr<std::vector<std::string>> (*parse)(const Json&,
                                                                             const std::string&)) {
  bool plain = statement.contains(name);
  bool negated = statement.contains("Not" + name);
  if (plain == negated) {
    return Malformed(absl::StrCat("Syntax errors in policy: each statement needs ", name, " or Not", name,
                                  ", and not both."));
  }
  Patterns out;
  out.negated = negated;
  KEYHOLD_ASSIGN_OR_RETURN(out.values, parse(statement.at(negated ? "Not" + name : name), name));
  return out;
}

StatusOr<std::vector<std::string>> AsStrings(const Json& element, const std::string& name) {
  return ParseStrings(element, name);
}
StatusOr<std::vector<std::string>> AsPrincipals(const Json& element, const std::string&) {
  return ParsePrincipals(element);
}

Status CheckElements(const Json& statement, PolicyKind kind) {
  static constexpr absl::string_view kKnown[] = {"Sid",          "Effect",      "Principal",
                                                 "NotPrincipal", "Action",      "NotAction",
                                                 "Resource",     "NotResource", "Condition"};
  for (const auto& [name, value] : statement.items()) {
    if (!absl::c_linear_search(kKnown, absl::string_view(name))) {
      return Malformed(absl::StrCat("Syntax errors in policy: unknown element '", name.substr(0, 64), "'."));
    }
  }
  bool principal = statement.contains("Principal") || statement.contains("NotPrincipal");
  bool resource = statement.contains("Resource") || statement.contains("NotResource");
  if (kind == PolicyKind::kIdentity && principal)
    return Malformed("Policy document should not specify a principal.");
  if (kind == PolicyKind::kTrust && resource) return Malformed("Has prohibited field Resource.");
  return OkStatus();
}

}  // namespace

struct Policy::Statement {
  bool deny = false;
  Patterns principals{{kEveryone}};
  Patterns actions;
  Patterns resources{{"*"}};
  std::vector<Condition> conditions;

  static StatusOr<Statement> Parse(const Json& element, PolicyKind kind);

  Decision PrincipalDecision(const Principal& caller) const {
    Decision best = Decision::kNothing;
    for (const std::string& named : principals.values) best = std::max(best, MatchPrincipal(named, caller));
    if (!principals.negated) return best;
    return best == Decision::kNothing ? Decision::kAllow : Decision::kNothing;
  }

  Decision Evaluate(const PolicyRequest& request) const {
    Decision who = PrincipalDecision(request.principal);
    bool applies =
        who != Decision::kNothing &&
        Matches(actions, [&](const std::string& pattern) { return MatchAction(pattern, request.action); }) &&
        Matches(resources,
                [&](const std::string& pattern) { return WildcardMatch(pattern, request.resource); }) &&
        absl::c_all_of(conditions, [&](const Condition& c) { return c.Holds(request.context); });
    if (!applies) return Decision::kNothing;
    return deny ? Decision::kDeny : who;
  }
};

StatusOr<Policy::Statement> Policy::Statement::Parse(const Json& element, PolicyKind kind) {
  if (!element.is_object()) return Malformed("Syntax errors in policy: a statement must be an object.");
  KEYHOLD_RETURN_IF_ERROR(CheckElements(element, kind));
  Statement out;
  Json effect = element.value("Effect", Json());
  if (effect != "Allow" && effect != "Deny") {
    return Malformed("Syntax errors in policy: Effect must be Allow or Deny.");
  }
  out.deny = effect == "Deny";
  KEYHOLD_ASSIGN_OR_RETURN(out.actions, ParsePatterns(element, "Action", AsStrings));
  if (kind != PolicyKind::kIdentity) {
    KEYHOLD_ASSIGN_OR_RETURN(out.principals, ParsePatterns(element, "Principal", AsPrincipals));
  }
  if (kind != PolicyKind::kTrust) {
    KEYHOLD_ASSIGN_OR_RETURN(out.resources, ParsePatterns(element, "Resource", AsStrings));
  }
  if (element.contains("Condition")) {
    auto conditions = ParseConditions(element.at("Condition"));
    if (!conditions.ok()) {
      return Malformed(absl::StrCat("Syntax errors in policy: ", conditions.status().message(), "."));
    }
    out.conditions = *std::move(conditions);
  }
  return out;
}

Policy::Policy(std::vector<Statement> statements) : statements_(std::move(statements)) {}
Policy::Policy(Policy&&) noexcept = default;
Policy::~Policy() = default;

StatusOr<Policy> Policy::Parse(std::string_view text, PolicyKind kind) {
  auto document = ParseJson(text);
  if (!document.ok() || !document->is_object()) return Malformed("This policy contains invalid Json");
  Json version = document->value("Version", Json("2008-10-17"));
  if (version != "2012-10-17" && version != "2008-10-17") {
    return Malformed("Syntax errors in policy: Version must be 2012-10-17.");
  }
  for (const auto& [name, value] : document->items()) {
    if (name != "Version" && name != "Id" && name != "Statement") {
      return Malformed(absl::StrCat("Syntax errors in policy: unknown element '", name.substr(0, 64), "'."));
    }
  }
  Json list = document->value("Statement", Json());
  if (list.is_object()) list = Json::array({list});
  if (!list.is_array() || list.empty()) return Malformed("Syntax errors in policy: Statement is missing.");
  std::vector<Statement> statements;
  for (const Json& element : list) {
    KEYHOLD_ASSIGN_OR_RETURN(Statement statement, Statement::Parse(element, kind));
    statements.push_back(std::move(statement));
  }
  return Policy(std::move(statements));
}

Decision Policy::Evaluate(const PolicyRequest& request) const {
  Decision best = Decision::kNothing;
  for (const Statement& statement : statements_) best = std::max(best, statement.Evaluate(request));
  return best;
}

std::vector<std::string> Policy::PrincipalArns() const {
  std::vector<std::string> out;
  for (const Statement& statement : statements_) {
    absl::c_copy_if(statement.principals.values, std::back_inserter(out),
                    [](const std::string& arn) { return arn != kEveryone; });
  }
  return out;
}

bool WildcardMatch(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      p++;
      t++;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') p++;
  return p == pattern.size();
}

}  // namespace keyhold::localcloud::aws
