// Where stores had their generation before there were registers (store/register.h): a number in a file of
// the store itself.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace keyhold::node {

// From the file `generation` in the directory `root` of a mounted store; 0 where there is none. kCorrupt: it
// holds something else; kIo: also what the store could not authenticate.
StatusOr<uint64_t> ReadGeneration(const std::string& root);

}  // namespace keyhold::node
