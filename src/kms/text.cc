#include "kms/text.h"

#include "absl/strings/escaping.h"

namespace keyhold::kms {

std::string Printable(std::string_view text, size_t max) {
  const std::string_view start = text.substr(0, max);
  std::string escaped = absl::CHexEscape(absl::string_view(start.data(), start.size()));
  if (text.size() > max) escaped += "...";
  return escaped;
}

std::string Quoted(std::string_view text, size_t max) { return "\"" + Printable(text, max) + "\""; }

}  // namespace keyhold::kms
