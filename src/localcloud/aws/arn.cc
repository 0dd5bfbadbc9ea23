#include "localcloud/aws/arn.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace keyhold::localcloud::aws {
namespace {

std::string Join(std::string_view service, std::string_view region, std::string_view account,
                 std::string_view resource) {
  std::string out = "arn:aws:";
  return out.append(service).append(":").append(region).append(":").append(account).append(":").append(
      resource);
}

}  // namespace

StatusOr<Arn> ParseArn(std::string_view text) {
  std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(text.data(), text.size()), absl::MaxSplits(':', 5));
  bool printable =
      std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (parts.size() != 6 || parts[0] != "arn" || parts[1] != "aws" || parts[5].empty() || !printable) {
    return Error(Cause::kInvalidArgument, "not an ARN of the form arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE");
  }
  return Arn{parts[2], parts[3], parts[4], parts[5]};
}

bool IsAccountId(std::string_view text) {
  return text.size() == 12 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
}

std::string KeyArn(std::string_view region, std::string_view account, std::string_view key_id) {
  return Join("kms", region, account, "key/" + std::string(key_id));
}
std::string AliasArn(std::string_view region, std::string_view account, std::string_view name) {
  return Join("kms", region, account, name);
}
std::string RootArn(std::string_view account) { return Join("iam", "", account, "root"); }
std::string UserArn(std::string_view account, std::string_view path, std::string_view name) {
  return Join("iam", "", account, "user" + std::string(path) + std::string(name));
}
std::string RoleArn(std::string_view account, std::string_view path, std::string_view name) {
  return Join("iam", "", account, "role" + std::string(path) + std::string(name));
}
std::string AssumedRoleArn(std::string_view account, std::string_view role, std::string_view session) {
  return Join("sts", "", account, "assumed-role/" + std::string(role) + "/" + std::string(session));
}

}  // namespace keyhold::localcloud::aws
