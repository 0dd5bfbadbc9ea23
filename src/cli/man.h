// The manual page, made from the command table.
#pragma once

#include <string>

namespace keyhold::cli {

// ccloud(1) in roff, for man(7)'s macros.
std::string ManPage();

}  // namespace keyhold::cli
