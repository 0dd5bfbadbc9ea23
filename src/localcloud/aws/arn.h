// Amazon Resource Names: arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE.
// docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace keyhold::localcloud::aws {

struct Arn {
  std::string service, region, account, resource;
};

// kInvalidArgument unless `text` has the six parts, the partition aws and no control characters.
StatusOr<Arn> ParseArn(std::string_view text);

bool IsAccountId(std::string_view text);  // twelve digits

std::string KeyArn(std::string_view region, std::string_view account, std::string_view key_id);
// `name` starts with "alias/".
std::string AliasArn(std::string_view region, std::string_view account, std::string_view name);
std::string RootArn(std::string_view account);
// `path` starts and ends with a slash.
std::string UserArn(std::string_view account, std::string_view path, std::string_view name);
std::string RoleArn(std::string_view account, std::string_view path, std::string_view name);
std::string AssumedRoleArn(std::string_view account, std::string_view role, std::string_view session);

}  // namespace keyhold::localcloud::aws
