// Percent-encoding as AWS uses it: RFC 3986, unreserved characters plain, upper case hex.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyhold::localcloud::aws {

using Parameters = std::vector<std::pair<std::string, std::string>>;

// Everything but A-Z a-z 0-9 - _ . ~ encoded; `keep_slash` keeps '/' too.
std::string PercentEncode(std::string_view text, bool keep_slash = false);

// '%XX' decoded, and '+' to a space when `plus_is_space` (form bodies). A '%' that no two hex digits follow
// stays as it is.
std::string PercentDecode(std::string_view text, bool plus_is_space);

// The name=value pairs of a query string or form body, decoded, in order.
Parameters ParseParameters(std::string_view text, bool plus_is_space);

// The first value of `name`, or null.
const std::string* FindParameter(const Parameters& parameters, std::string_view name);

}  // namespace keyhold::localcloud::aws
