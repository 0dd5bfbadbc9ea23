// Small helpers for messages.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace keyhold::kms {

// absl::StrCat for std::string_view, which Debian's Abseil does not take.
inline std::string StrCat(std::initializer_list<std::string_view> pieces) {
  std::string all;
  for (const std::string_view piece : pieces) all += piece;
  return all;
}

// `text` as it may stand in a message whoever wrote it: in quotes, unprintable characters escaped, cut off
// after `max` characters.
std::string Quoted(std::string_view text, size_t max = 120);

// `text` with unprintable characters escaped and cut off, without quotes: for what a cloud answered.
std::string Printable(std::string_view text, size_t max = 400);

}  // namespace keyhold::kms
