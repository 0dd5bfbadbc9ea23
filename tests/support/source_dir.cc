#include "tests/support/source_dir.h"

namespace keyhold::testing {

std::string SourceDir() { return KEYHOLD_SOURCE_DIR; }

}  // namespace keyhold::testing
