#include "kms/text.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace keyhold::kms {

bool AllOf(std::string_view text, bool (*is)(char)) { return std::all_of(text.begin(), text.end(), is); }

std::string_view Trim(std::string_view text) {
  const auto is_space = [](char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string Printable(std::string_view text, size_t max) {
  const std::string_view start = text.substr(0, max);
  std::string escaped = absl::CHexEscape(absl::string_view(start.data(), start.size()));
  if (text.size() > max) escaped += "...";
  return escaped;
}

std::string Quoted(std::string_view text, size_t max) { return "\"" + Printable(text, max) + "\""; }

}  // namespace keyhold::kms
