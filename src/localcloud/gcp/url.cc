#include "localcloud/gcp/url.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"

namespace keyhold::localcloud::gcp {
namespace {

std::string Decode(absl::string_view text, bool plus_is_blank) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() &&
                        absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) &&
                        absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]));
    if (escape) {
      out += absl::HexStringToBytes(text.substr(i + 1, 2));
      i += 2;
    } else {
      out += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace

Url ParseUrl(std::string_view target) {
  const size_t question = target.find('?');
  Url url;
  const std::string_view path = target.substr(0, question);
  url.path = Decode({path.data(), path.size()}, false);
  if (question != std::string_view::npos) url.query = ParseQuery(target.substr(question + 1));
  return url;
}

std::map<std::string, std::string> ParseQuery(std::string_view text) {
  std::map<std::string, std::string> out;
  const absl::string_view all(text.data(), text.size());
  for (absl::string_view pair : absl::StrSplit(all, '&', absl::SkipEmpty())) {
    const size_t equals = pair.find('=');
    const absl::string_view value =
        equals == absl::string_view::npos ? absl::string_view() : pair.substr(equals + 1);
    out[Decode(pair.substr(0, equals), true)] = Decode(value, true);
  }
  return out;
}

}  // namespace keyhold::localcloud::gcp
