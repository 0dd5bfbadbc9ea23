#include "base/text.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace keyhold {

size_t ControlSize(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(i < text.size() ? text[i] : 0); };
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  if (byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) < 0xa0) return 2;
  const bool turns = byte(0) == 0xe2 && ((byte(1) == 0x80 && byte(2) >= 0xaa && byte(2) <= 0xae) ||
                                         (byte(1) == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9));
  return turns ? 3 : 0;
}

bool HasControls(std::string_view text) {
  for (; !text.empty(); text.remove_prefix(1)) {
    if (ControlSize(text) > 0) return true;
  }
  return false;
}

std::string EscapeControls(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = ControlSize(text);
    if (size == 0) out.push_back(text[0]);
    for (size_t i = 0; i < size; ++i)
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(text[i]));
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

std::string PercentEncoded(std::string_view text, std::string_view keep) {
  constexpr std::string_view kUnreserved = "-._~";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = absl::ascii_isalnum(byte) || kUnreserved.find(c) != std::string_view::npos ||
                       keep.find(c) != std::string_view::npos;
    if (plain) {
      out.push_back(c);
    } else {
      absl::StrAppendFormat(&out, "%%%02X", byte);
    }
  }
  return out;
}

bool IsVisibleAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace keyhold
