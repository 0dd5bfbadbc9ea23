// What the services and commands say on stdout.
#pragma once

#include <string>

namespace keyhold::app {

// Prints `line` and a line feed, at once: others wait for the line.
void Say(const std::string& line);

}  // namespace keyhold::app
