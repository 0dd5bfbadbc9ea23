#include "base/environment.h"

namespace keyhold {

std::map<std::string, std::string> ReadEnvironment(const char* const* environ) {
  std::map<std::string, std::string> variables;
  for (const char* const* entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

}  // namespace keyhold
