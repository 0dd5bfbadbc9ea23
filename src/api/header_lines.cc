#include "api/header_lines.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace keyhold::api {
namespace {

bool IsTokenCharacter(unsigned char c) {
  return absl::ascii_isalnum(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
}

// Of these httplib takes no value for no header, and decodes percent signs.
bool IsFraming(const std::string& name) {
  return absl::EqualsIgnoreCase(name, "Content-Length") || absl::EqualsIgnoreCase(name, "Transfer-Encoding");
}

bool IsValid(const std::string& line) {
  const size_t colon = line.find(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string name = line.substr(0, colon);
  if (!std::all_of(name.begin(), name.end(), IsTokenCharacter)) return false;
  const std::string value(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  return !IsFraming(name) || (!value.empty() && value.find('%') == std::string::npos);
}

}  // namespace

bool HeaderLines::Take(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [this](char c) { return done_ || TakeOne(c); });
}

bool HeaderLines::TakeOne(char c) {
  if (after_cr_) return c == '\n' && EndLine();
  after_cr_ = c == '\r';
  if (after_cr_) return true;
  const auto byte = static_cast<unsigned char>(c);
  if ((byte < 0x20 && c != '\t') || byte == 0x7f) return false;
  line_.push_back(c);
  return true;
}

bool HeaderLines::EndLine() {
  after_cr_ = false;
  done_ = line_.empty();
  const bool valid = done_ || is_first_ || IsValid(line_);
  is_first_ = false;
  line_.clear();
  return valid;
}

}  // namespace keyhold::api
