#include "app/say.h"

#include <cstdio>

namespace keyhold::app {

void Say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace keyhold::app
