#include "kms/form.h"

#include <algorithm>
#include <cctype>

namespace keyhold::kms {

crypto::SecretBytes Form(const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kUnreserved = "-._~";
  size_t size = 0;
  for (const auto& [name, value] : fields) size += name.size() + 2 + 3 * value.size();
  crypto::SecretBytes form(size);
  uint8_t* out = form.ExposeMutable().data();
  const uint8_t* const begin = out;
  for (const auto& [name, value] : fields) {
    if (out != begin) *out++ = '&';
    out = std::copy(name.begin(), name.end(), out);
    *out++ = '=';
    for (const char c : value) {
      const auto byte = static_cast<uint8_t>(c);
      if (std::isalnum(byte) != 0 || kUnreserved.find(c) != std::string_view::npos) {
        *out++ = byte;
        continue;
      }
      *out++ = '%';
      *out++ = static_cast<uint8_t>(kHex[byte >> 4]);
      *out++ = static_cast<uint8_t>(kHex[byte & 15]);
    }
  }
  return crypto::SecretBytes::CopyOf(form.Expose().first(static_cast<size_t>(out - begin)));
}

}  // namespace keyhold::kms
