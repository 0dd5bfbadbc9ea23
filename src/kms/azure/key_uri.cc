#include "kms/azure/key_uri.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "kms/text.h"

namespace keyhold::kms::azure {
namespace {

// Germany's cloud was closed in 2021; clouds without the public internet are left out.
constexpr std::array kClouds = {
    AzureCloud{".vault.azure.net", "https://vault.azure.net", "login.microsoftonline.com",
               "login.windows.net"},
    AzureCloud{".vault.azure.cn", "https://vault.azure.cn", "login.chinacloudapi.cn",
               "login.partner.microsoftonline.cn"},
    AzureCloud{".vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net", "login.microsoftonline.us",
               "login-us.microsoftonline.com"},
    AzureCloud{".managedhsm.azure.net", "https://managedhsm.azure.net", "login.microsoftonline.com",
               "login.windows.net", true},
    AzureCloud{".managedhsm.azure.cn", "https://managedhsm.azure.cn", "login.chinacloudapi.cn",
               "login.partner.microsoftonline.cn", true},
    AzureCloud{".managedhsm.usgovcloudapi.net", "https://managedhsm.usgovcloudapi.net",
               "login.microsoftonline.us", "login-us.microsoftonline.com", true},
};

constexpr std::string_view kScheme = "https://";
constexpr std::string_view kForm = "https://VAULT.vault.azure.net/keys/NAME or .../keys/NAME/VERSION";

bool IsNameChar(char c) { return IsLower(c) || IsDigit(c) || (c >= 'A' && c <= 'Z') || c == '-'; }

Status Bad(std::string_view uri, std::string_view why) {
  return Error(Cause::kInvalidArgument,
               StrCat({"the key URI ", Quoted(uri), " ", why, "; it must have the form ", kForm}));
}

// 3 to 24 letters, digits and hyphens; begins with a letter, ends with none, no two hyphens in a row.
bool IsVaultName(std::string_view name) {
  return name.size() >= 3 && name.size() <= 24 && IsLower(name.front()) && name.back() != '-' &&
         name.find("--") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
}

bool IsKeyName(std::string_view name) {
  return !name.empty() && name.size() <= 127 && AllOf(name, IsNameChar);
}

bool IsVersion(std::string_view version) { return version.size() == 32 && AllOf(version, IsLowerHex); }

Status SetHost(std::string_view uri, std::string_view host, KeyUri& out) {
  for (const AzureCloud& cloud : kClouds) {
    if (!host.ends_with(cloud.host_suffix)) continue;
    out.cloud = &cloud;
    out.host = std::string(host);
    out.vault = std::string(host.substr(0, host.size() - cloud.host_suffix.size()));
    if (IsVaultName(out.vault)) return OkStatus();
    return Bad(uri, "has no valid vault name (lower case letters, digits and hyphens)");
  }
  return Bad(uri, "is not on a host of Azure Key Vault or Managed HSM");
}

}  // namespace

std::string KeyUri::Path(std::string_view of_version) const {
  return StrCat({"/keys/", name, of_version.empty() ? "" : "/", of_version});
}

StatusOr<KeyUri> ParseKeyUri(std::string_view uri) {
  if (!uri.starts_with(kScheme)) return Bad(uri, "does not begin with https://");
  const std::string_view rest = uri.substr(kScheme.size());
  const size_t slash = rest.find('/');
  KeyUri key;
  KEYHOLD_RETURN_IF_ERROR(SetHost(uri, rest.substr(0, slash), key));
  std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash);
  constexpr std::string_view kKeys = "/keys/";
  if (!path.starts_with(kKeys)) return Bad(uri, "is not of a key");
  path.remove_prefix(kKeys.size());
  const size_t end = path.find('/');
  key.name = std::string(path.substr(0, end));
  if (!IsKeyName(key.name)) return Bad(uri, "has no valid key name (letters, digits and hyphens)");
  if (end == std::string_view::npos) return key;
  key.version = std::string(path.substr(end + 1));
  if (IsVersion(key.version)) return key;
  return Bad(uri, "has a version that is not 32 hexadecimal digits; leave it out for the newest");
}

Status CheckTenant(std::string_view tenant) {
  constexpr std::array<size_t, 4> kHyphens = {8, 13, 18, 23};
  bool valid = tenant.size() == 36;
  for (size_t i = 0; valid && i < tenant.size(); ++i) {
    const bool hyphen = std::find(kHyphens.begin(), kHyphens.end(), i) != kHyphens.end();
    valid = hyphen ? tenant[i] == '-' : IsLowerHex(tenant[i]);
  }
  if (valid) return OkStatus();
  return Error(
      Cause::kInvalidArgument,
      StrCat({"auth_principal ", Quoted(tenant),
              " is not a tenant; for Azure it is the id of the Microsoft Entra tenant that the vault "
              "is in (az account show --query tenantId), or left out"}));
}

StatusOr<std::string> VersionOf(std::string_view kid, const KeyUri& uri) {
  const auto answered = ParseKeyUri(kid);
  const bool same = answered.ok() && answered->host == uri.host &&
                    absl::EqualsIgnoreCase(answered->name, uri.name) && !answered->version.empty() &&
                    (uri.version.empty() || uri.version == answered->version);
  if (same) return answered->version;
  return Error(Cause::kKmsCorrupt,
               StrCat({"the answer of ", uri.host, " does not verify: it speaks of the key ", Quoted(kid)}));
}

}  // namespace keyhold::kms::azure
