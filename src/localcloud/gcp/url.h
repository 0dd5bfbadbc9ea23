// Paths and queries as Google's clients send them.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace keyhold::localcloud::gcp {

struct Url {
  std::string path;                          // decoded
  std::map<std::string, std::string> query;  // decoded; the last of several
};

// Of a request's target.
Url ParseUrl(std::string_view target);

// "a=b&c=d", application/x-www-form-urlencoded.
std::map<std::string, std::string> ParseQuery(std::string_view text);

}  // namespace keyhold::localcloud::gcp
