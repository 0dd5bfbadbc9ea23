// Where the sources are that a test was built from: golden files, seeds, pages of docs/.
#pragma once

#include <string>

namespace keyhold::testing {

// Without a slash at its end.
std::string SourceDir();

}  // namespace keyhold::testing
