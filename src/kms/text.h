// Small helpers for messages, and for the names that clouds give to keys.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace keyhold::kms {

// absl::StrCat for std::string_view, which Debian's Abseil does not take.
inline std::string StrCat(std::initializer_list<std::string_view> pieces) {
  std::string all;
  for (const std::string_view piece : pieces) all += piece;
  return all;
}

// Of ASCII, whatever the locale.
inline bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsLowerHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); }
// True for an empty text too.
bool AllOf(std::string_view text, bool (*is)(char));

// `text` without the white space at its ends. A view into it.
std::string_view Trim(std::string_view text);

// The parts between separators: one more than there are separators. Views into `text`.
std::vector<std::string_view> Split(std::string_view text, char separator);

// `text` as it may stand in a message whoever wrote it: in quotes, unprintable characters escaped, cut off
// after `max` characters.
std::string Quoted(std::string_view text, size_t max = 120);

// `text` with unprintable characters escaped and cut off, without quotes: for what a cloud answered.
std::string Printable(std::string_view text, size_t max = 400);

}  // namespace keyhold::kms
