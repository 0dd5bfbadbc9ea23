#include "kms/aws/arn.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "kms/text.h"

namespace keyhold::kms::aws {
namespace {

struct Partition {
  std::string_view name;
  std::string_view host_suffix;
  std::string_view region_prefix;  // empty: every region that no other partition claims
  std::string_view first_region;
};

// botocore's endpoints.json. Partitions without the public internet are left out.
constexpr std::array kPartitions = {
    Partition{"aws", ".amazonaws.com", "", "us-east-1"},
    Partition{"aws-cn", ".amazonaws.com.cn", "cn-", "cn-north-1"},
    Partition{"aws-us-gov", ".amazonaws.com", "us-gov-", "us-gov-west-1"},
};

const Partition* FindPartition(std::string_view name) {
  const auto* found = std::find_if(kPartitions.begin(), kPartitions.end(),
                                   [&](const Partition& p) { return p.name == name; });
  return found == kPartitions.end() ? nullptr : found;
}

std::string_view PartitionOfRegion(std::string_view region) {
  for (const Partition& partition : kPartitions) {
    if (!partition.region_prefix.empty() && region.starts_with(partition.region_prefix))
      return partition.name;
  }
  return kPartitions[0].name;
}

bool IsNameChar(char c) {
  return IsLower(c) || IsDigit(c) || (c >= 'A' && c <= 'Z') ||
         std::string_view("_+=,.@-").find(c) != std::string_view::npos;
}

// us-east-1, us-gov-west-1, ap-southeast-5: words and a number.
bool IsRegion(std::string_view text) {
  const auto words = Split(text, '-');
  if (text.size() > 32 || words.size() < 3) return false;
  const auto is_word = [](std::string_view word) { return !word.empty() && AllOf(word, IsLower); };
  return std::all_of(words.begin(), words.end() - 1, is_word) && !words.back().empty() &&
         AllOf(words.back(), IsDigit);
}

bool IsAccount(std::string_view text) { return text.size() == 12 && AllOf(text, IsDigit); }

bool IsKeyId(std::string_view id) {
  if (id.starts_with("mrk-")) return id.size() == 36 && AllOf(id.substr(4), IsLowerHex);
  const auto groups = Split(id, '-');
  constexpr std::array<size_t, 5> kSizes = {8, 4, 4, 4, 12};
  return std::equal(groups.begin(), groups.end(), kSizes.begin(), kSizes.end(),
                    [](std::string_view group, size_t size) { return group.size() == size; }) &&
         std::all_of(groups.begin(), groups.end(), [](std::string_view g) { return AllOf(g, IsLowerHex); });
}

constexpr std::string_view kKeyForm = "arn:aws:kms:REGION:ACCOUNT:key/KEY-ID";
constexpr std::string_view kPrincipalForm = "arn:aws:iam::ACCOUNT:role/NAME";

Status Bad(std::string_view what, std::string_view arn, std::string_view why, std::string_view form) {
  return Error(Cause::kInvalidArgument,
               StrCat({what, " ", Quoted(arn), " ", why, "; it must have the form ", form}));
}

Status BadKey(std::string_view arn, std::string_view why) { return Bad("the key URI", arn, why, kKeyForm); }
Status BadPrincipal(std::string_view arn, std::string_view why) {
  return Bad("auth_principal", arn, why, kPrincipalForm);
}

}  // namespace

StatusOr<KeyArn> ParseKeyArn(std::string_view arn) {
  const auto parts = Split(arn, ':');
  if (parts.size() != 6 || parts[0] != "arn") return BadKey(arn, "is not an ARN of an AWS KMS key");
  if (FindPartition(parts[1]) == nullptr) return BadKey(arn, "is in a partition that Keyhold does not know");
  if (parts[2] != "kms") return BadKey(arn, "is not of the service kms");
  if (!IsRegion(parts[3])) return BadKey(arn, "has no region");
  if (PartitionOfRegion(parts[3]) != parts[1]) return BadKey(arn, "has a region of another partition");
  if (!IsAccount(parts[4])) return BadKey(arn, "has no 12-digit account");
  if (parts[5].starts_with("alias/")) {
    return BadKey(arn, "is an alias, which can be moved to another key at any time; give the key's own ARN");
  }
  if (!parts[5].starts_with("key/") || !IsKeyId(parts[5].substr(4))) return BadKey(arn, "has no key id");
  return KeyArn{std::string(parts[1]), std::string(parts[3]), std::string(parts[4]),
                std::string(parts[5].substr(4))};
}

StatusOr<PrincipalArn> ParsePrincipalArn(std::string_view arn) {
  const auto parts = Split(arn, ':');
  if (parts.size() != 6 || parts[0] != "arn") return BadPrincipal(arn, "is not an ARN");
  if (FindPartition(parts[1]) == nullptr) {
    return BadPrincipal(arn, "is in a partition that Keyhold does not know");
  }
  if (parts[2] != "iam" || !parts[3].empty()) return BadPrincipal(arn, "is not of the service iam");
  if (!IsAccount(parts[4])) return BadPrincipal(arn, "has no 12-digit account");
  const auto path = Split(parts[5], '/');
  if (path.size() < 2 || (path[0] != "role" && path[0] != "user")) {
    return BadPrincipal(arn, "is neither a role nor the platform's own user");
  }
  for (const std::string_view piece : std::span(path).subspan(1)) {
    if (piece.empty() || !AllOf(piece, IsNameChar)) return BadPrincipal(arn, "has no valid name");
  }
  if (parts[5].size() > 512 || path.back().size() > 64) return BadPrincipal(arn, "has too long a name");
  return PrincipalArn{std::string(parts[1]), std::string(parts[4]), path[0] == "role",
                      std::string(path.back())};
}

std::string GrantableArn(std::string_view caller_arn) {
  const auto parts = Split(caller_arn, ':');
  if (parts.size() != 6 || parts[2] != "sts" || !parts[5].starts_with("assumed-role/")) {
    return std::string(caller_arn);
  }
  return StrCat({"arn:", parts[1], ":iam::", parts[4], ":role/", Split(parts[5], '/')[1]});
}

bool IsCaller(const PrincipalArn& principal, std::string_view caller_arn) {
  const auto caller = ParsePrincipalArn(GrantableArn(caller_arn));
  return caller.ok() && caller->partition == principal.partition && caller->account == principal.account &&
         caller->is_role == principal.is_role && caller->name == principal.name;
}

std::string ServiceHost(std::string_view service, std::string_view partition, std::string_view region) {
  return StrCat({service, ".", region, FindPartition(partition)->host_suffix});
}

StatusOr<std::string> PublicHost(std::string_view service, std::string_view region) {
  if (!IsRegion(region)) return Error(Cause::kInvalidArgument, StrCat({Quoted(region), " is no AWS region"}));
  return ServiceHost(service, PartitionOfRegion(region), region);
}

std::string_view DefaultRegion(std::string_view partition) { return FindPartition(partition)->first_region; }

}  // namespace keyhold::kms::aws
