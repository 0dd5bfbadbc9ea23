// The generation of a store: a number that grows with every opening, every closing, and every few minutes in
// between, kept in the store itself. Who knows how far it was notices that an older copy was put back.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace keyhold::node {

// From the file `generation` in the directory `root` of a mounted store; 0 where there is none. kCorrupt: it
// holds something else; kIo: also what the store could not authenticate.
StatusOr<uint64_t> ReadGeneration(const std::string& root);

// Replaces it, durably: after a crash it is the old or the new one.
Status WriteGeneration(const std::string& root, uint64_t generation);

}  // namespace keyhold::node
