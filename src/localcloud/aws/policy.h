// Policy documents: parsing, and what one says about one request.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html and ..._evaluation-logic.html.
// All elements and all condition operators but BinaryEquals; what is unknown is refused when the policy is
// put, never ignored when it is evaluated. Immutable values; threads do not matter.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "localcloud/aws/principal.h"

namespace keyhold::localcloud::aws {

enum class PolicyKind {
  kKey,       // on a key: has principals
  kTrust,     // on a role: has principals and no resource
  kIdentity,  // of a user or role: has no principals
};

// Values of condition keys, by name in lower case. A key that is not there is absent from the request.
using ConditionContext = std::map<std::string, std::vector<std::string>>;

struct PolicyRequest {
  const Principal& principal;
  std::string action;    // "kms:Encrypt"
  std::string resource;  // ARN
  ConditionContext context;
};

// What one policy says; the greatest of its statements' counts.
enum class Decision {
  kNothing,
  kAllowAccount,  // allows the caller's account, which leaves it to the caller's identity policies
  kAllow,         // allows this principal
  kDeny,
};

class Policy {
 public:
  // MalformedPolicyDocumentException (error.h): not JSON, or not a policy of this kind; the message says
  // where.
  static StatusOr<Policy> Parse(std::string_view text, PolicyKind kind);

  Policy(Policy&&) noexcept;
  ~Policy();

  Decision Evaluate(const PolicyRequest& request) const;

  // The AWS principals it names other than "*", as ARNs (an account as its root's ARN).
  std::vector<std::string> PrincipalArns() const;

 private:
  struct Statement;
  explicit Policy(std::vector<Statement> statements);
  std::vector<Statement> statements_;
};

// '*' and '?' wildcards, case-sensitive.
bool WildcardMatch(std::string_view pattern, std::string_view text);

}  // namespace keyhold::localcloud::aws
