#include "kms/gcp/names.h"

#include <algorithm>
#include <array>
#include <vector>

#include "kms/text.h"

namespace keyhold::kms::gcp {
namespace {

bool IsLabelChar(char c) { return IsLower(c) || IsDigit(c) || c == '-'; }
bool IsNameChar(char c) { return IsLabelChar(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

// A label of a host name.
bool IsLabel(std::string_view text) {
  return !text.empty() && text.size() <= 63 && AllOf(text, IsLabelChar) && text.front() != '-' &&
         text.back() != '-';
}

bool IsDomain(std::string_view text) {
  const auto labels = Split(text, '.');
  return text.size() <= 253 && labels.size() >= 2 && std::all_of(labels.begin(), labels.end(), IsLabel);
}

bool IsProjectId(std::string_view id) {
  if (const size_t colon = id.find(':'); colon != std::string_view::npos) {
    if (!IsDomain(id.substr(0, colon))) return false;
    id.remove_prefix(colon + 1);
  }
  return id.size() >= 6 && id.size() <= 30 && IsLower(id.front()) && IsLabel(id);
}

bool IsLocation(std::string_view text) { return text.size() <= 32 && IsLabel(text) && IsLower(text.front()); }

bool IsName(std::string_view text) { return !text.empty() && text.size() <= 63 && AllOf(text, IsNameChar); }

constexpr std::string_view kKeyForm = "projects/PROJECT/locations/LOCATION/keyRings/KEY-RING/cryptoKeys/KEY";
constexpr std::array<std::string_view, 3> kAccountDomains = {
    ".iam.gserviceaccount.com", "developer.gserviceaccount.com", "appspot.gserviceaccount.com"};

Status BadKey(std::string_view uri, std::string_view why) {
  return Error(Cause::kInvalidArgument,
               StrCat({"the key URI ", Quoted(uri), " ", why, "; it must have the form ", kKeyForm}));
}

bool IsAccountDomain(std::string_view domain) {
  return IsDomain(domain) &&
         std::any_of(kAccountDomains.begin(), kAccountDomains.end(), [&](std::string_view known) {
           return known.front() == '.' ? domain.ends_with(known) : domain == known;
         });
}

}  // namespace

StatusOr<KeyName> ParseKeyName(std::string_view uri) {
  const auto parts = Split(uri, '/');
  if (parts.size() > 8 && parts[8] == "cryptoKeyVersions") {
    return BadKey(uri, "names a version, and the key's primary version is what wraps; give the key itself");
  }
  if (parts.size() != 8 || parts[0] != "projects" || parts[2] != "locations" || parts[4] != "keyRings" ||
      parts[6] != "cryptoKeys") {
    return BadKey(uri, "is not a resource name of a Cloud KMS key");
  }
  if (!IsProjectId(parts[1])) {
    return BadKey(uri, AllOf(parts[1], IsDigit) ? "has a project number; give the project's id"
                                                : "has no valid project id");
  }
  if (!IsLocation(parts[3])) return BadKey(uri, "has no valid location");
  if (!IsName(parts[5])) return BadKey(uri, "has no valid key ring name");
  if (!IsName(parts[7])) return BadKey(uri, "has no valid key name");
  return KeyName{std::string(parts[1]), std::string(parts[3]), std::string(parts[5]), std::string(parts[7])};
}

Status CheckServiceAccount(std::string_view email) {
  const auto parts = Split(email, '@');
  if (parts.size() == 2 && IsLabel(parts[0]) && IsAccountDomain(parts[1])) return OkStatus();
  return Error(Cause::kInvalidArgument, StrCat({"auth_principal ", Quoted(email),
                                                " is not the address of a Google service account; it ",
                                                "must have the form NAME@PROJECT.iam.gserviceaccount.com"}));
}

bool Serves(std::string_view location, std::string_view region) {
  return location == region || location == "global";
}

bool IsVersionOf(std::string_view version, std::string_view uri, std::string* id) {
  constexpr std::string_view kMiddle = "/cryptoKeyVersions/";
  if (!version.starts_with(uri)) return false;
  version.remove_prefix(uri.size());
  if (!version.starts_with(kMiddle)) return false;
  version.remove_prefix(kMiddle.size());
  if (version.empty() || version.size() > 20 || !AllOf(version, IsDigit)) return false;
  *id = std::string(version);
  return true;
}

}  // namespace keyhold::kms::gcp
