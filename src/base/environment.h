// The environment of a process as a map. Nobody asks for it but programs, which hand it on by argument.
#pragma once

#include <map>
#include <string>

namespace keyhold {

// What is in `environ` (environ(7)), by name; entries without "=" are passed over.
std::map<std::string, std::string> ReadEnvironment(const char* const* environ);

}  // namespace keyhold
