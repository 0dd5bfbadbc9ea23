// What stands percent-encoded in URLs and form bodies (RFC 3986).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyhold::localcloud::aws {

using Parameters = std::vector<std::pair<std::string, std::string>>;

// '%XX' decoded, and '+' to a space when `plus_is_space` (form bodies). A '%' that no two hex digits follow
// stays as it is.
std::string PercentDecode(std::string_view text, bool plus_is_space);

// The name=value pairs of a query string or form body, decoded, in order.
Parameters ParseParameters(std::string_view text, bool plus_is_space);

// The first value of `name`, or null.
const std::string* FindParameter(const Parameters& parameters, std::string_view name);

}  // namespace keyhold::localcloud::aws
