#include "kms/azure/challenge.h"

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "kms/text.h"

namespace keyhold::kms::azure {
namespace {

constexpr size_t kMaxChallenge = 8 << 10;

Status NotUnderstood(std::string_view why) {
  return Error(Cause::kKmsCorrupt, StrCat({"the vault's authentication challenge ", why,
                                           "; it is not followed, and no token is sent"}));
}

// NAME="VALUE" or NAME=VALUE, separated by commas. Quoted values have no escapes in Azure's challenges.
StatusOr<std::map<std::string, std::string>> Parameters(std::string_view text) {
  std::map<std::string, std::string> parameters;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(" ,\t"), text.size()));
    if (text.empty()) return parameters;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) return NotUnderstood("has a parameter without a value");
    const std::string name = absl::AsciiStrToLower(std::string(text.substr(0, equals)));
    text.remove_prefix(equals + 1);
    const bool quoted = text.starts_with('"');
    if (quoted) text.remove_prefix(1);
    const size_t end = text.find_first_of(quoted ? "\"" : " ,\t");
    if (quoted && end == std::string_view::npos) return NotUnderstood("has a quote that does not end");
    if (!parameters.emplace(name, text.substr(0, end)).second) return NotUnderstood("has a parameter twice");
    text.remove_prefix(std::min(end, text.size() - (quoted ? 1 : 0)) + (quoted ? 1 : 0));
  }
}

// "https://HOST/TENANT" or "https://HOST/TENANT/" of an authority; nothing else.
StatusOr<std::string> TenantOf(std::string_view authority, const AzureCloud& cloud) {
  for (const std::string_view host : {cloud.login_host, cloud.login_alias}) {
    const std::string prefix = StrCat({"https://", host, "/"});
    if (!authority.starts_with(prefix)) continue;
    std::string_view tenant = authority.substr(prefix.size());
    if (tenant.ends_with('/')) tenant.remove_suffix(1);
    if (CheckTenant(tenant).ok()) return std::string(tenant);
    return NotUnderstood(StrCat({"names no tenant: ", Quoted(authority)}));
  }
  return NotUnderstood(StrCat({"leads to ", Quoted(authority), ", which is not ", cloud.login_host}));
}

}  // namespace

StatusOr<std::string> TenantOfChallenge(std::string_view challenge, const AzureCloud& cloud) {
  constexpr std::string_view kBearer = "Bearer ";
  if (challenge.size() > kMaxChallenge) return NotUnderstood("is too long");
  if (!absl::StartsWithIgnoreCase(std::string(challenge.substr(0, kBearer.size())), std::string(kBearer))) {
    return NotUnderstood("is not of the scheme Bearer");
  }
  KEYHOLD_ASSIGN_OR_RETURN(auto parameters, Parameters(challenge.substr(kBearer.size())));
  std::string resource = parameters["resource"];
  if (resource.empty()) resource = parameters["scope"];
  constexpr std::string_view kDefault = "/.default";
  if (resource.ends_with(kDefault)) resource.resize(resource.size() - kDefault.size());
  if (resource != cloud.resource) {
    return NotUnderstood(StrCat({"asks for a token for ", Quoted(resource), ", not for ", cloud.resource}));
  }
  const std::string authority =
      parameters["authorization"].empty() ? parameters["authorization_uri"] : parameters["authorization"];
  return TenantOf(authority, cloud);
}

}  // namespace keyhold::kms::azure
