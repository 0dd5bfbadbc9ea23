#include "localcloud/aws/query.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "localcloud/aws/error.h"

namespace keyhold::localcloud::aws {

std::string XmlText(std::string_view name, std::string_view text) {
  std::string clean;
  for (char c : text) {
    // XML 1.0 section 2.2 has no other control characters.
    if (static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n' || c == '\r') clean.push_back(c);
  }
  return XmlTree(
      name, absl::StrReplaceAll(clean, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}}));
}

std::string XmlTree(std::string_view name, std::string_view inner) {
  std::string tag(name);
  return absl::StrCat("<", tag, ">", std::string(inner), "</", tag, ">");
}

StatusOr<std::string> RequiredParameter(const Parameters& parameters, std::string_view name, size_t max) {
  const std::string* value = FindParameter(parameters, name);
  std::string member(name);
  member[0] = static_cast<char>(member[0] | 0x20);
  if (value == nullptr || value->empty()) return ValidationError(member, "Member must not be null");
  if (value->size() <= max) return *value;
  return ValidationError(member, absl::StrCat("Member must have length less than or equal to ", max));
}

std::string XmlTime(int64_t unix_seconds) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(unix_seconds), absl::UTCTimeZone());
}

}  // namespace keyhold::localcloud::aws
