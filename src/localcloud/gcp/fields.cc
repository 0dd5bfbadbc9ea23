#include "localcloud/gcp/fields.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "localcloud/gcp/error.h"

namespace keyhold::localcloud::gcp {

std::string TextOf(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

StatusOr<std::string> StringIn(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null() || found->is_string()) return TextOf(object, name);
  return Invalid(absl::StrCat("Invalid value at '", name, "' (TYPE_STRING)."));
}

bool DecodeBytes(const std::string& text, std::string* bytes) {
  return absl::Base64Unescape(text, bytes) || absl::WebSafeBase64Unescape(text, bytes);
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

}  // namespace keyhold::localcloud::gcp
