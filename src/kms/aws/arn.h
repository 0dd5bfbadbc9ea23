// Amazon Resource Names, as far as key specs have them, and the hosts that belong to them.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::kms::aws {

// arn:PARTITION:kms:REGION:ACCOUNT:key/ID; ID is a UUID, or mrk- and 32 hexadecimal digits.
struct KeyArn {
  std::string partition;
  std::string region;
  std::string account;
  std::string key_id;
};

// kInvalidArgument says how the ARN should be. Aliases are refused: an alias can be moved to another key
// behind Keyhold's back, and the data would then need a key that nobody chose.
StatusOr<KeyArn> ParseKeyArn(std::string_view arn);

// Who may be an auth_principal: arn:PARTITION:iam::ACCOUNT:role/PATH/NAME, or the same with user.
struct PrincipalArn {
  std::string partition;
  std::string account;
  bool is_role = false;
  std::string name;  // without its path
};
StatusOr<PrincipalArn> ParsePrincipalArn(std::string_view arn);

// The ARN that a key policy names for a caller, as STS GetCallerIdentity tells it: an assumed role's
// session (arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION) stands for its role, whose path STS does not tell.
std::string GrantableArn(std::string_view caller_arn);

// True when `principal` is who `caller_arn` says.
bool IsCaller(const PrincipalArn& principal, std::string_view caller_arn);

// "kms.us-east-1.amazonaws.com": from a table by partition. Both arguments come from a parsed ARN.
std::string ServiceHost(std::string_view service, std::string_view partition, std::string_view region);

// The same for a region in text; kInvalidArgument when it is none.
StatusOr<std::string> PublicHost(std::string_view service, std::string_view region);

// The region whose STS is asked where nothing names one: a partition's first.
std::string_view DefaultRegion(std::string_view partition);

}  // namespace keyhold::kms::aws
