// A store that was put back from a copy, or mended by a file system's check: accepted as it is found.
//
// Whether it is the latest nobody can tell any more: its register is begun anew from what is there and
// authenticates, and from then on older copies of that are refused again.
#pragma once

#include <cstdint>

#include "store/context.h"
#include "store/reencrypt.h"

namespace keyhold::store {

// What the register of before knew better.
struct GivenUp {
  uint64_t older = 0;    // files and directories that it knew newer
  uint64_t deleted = 0;  // that it knew as deleted
  uint64_t missing = 0;  // that it knew, and that were not found sound
};

struct Restored {
  bool had_register = false;  // one that could be read; else nothing is known of what is given up
  GivenUp given_up;
  Census census;            // what is damaged stays so, and has no line where its identity is
  uint64_t generation = 0;  // from now on
};

// Reads all that is in the directory `store`, of which the caller holds the lock, makes it durable, and
// replaces the register by one that knows exactly this, with a number above `above` and the one of before.
// kCorrupt: the root itself does not authenticate, or is another; kFailedPrecondition: a newer Keyhold wrote
// the register; kIo. After an error the register is as it was.
StatusOr<Restored> AcceptRestored(const Context& context, int store, size_t open_descriptors, uint64_t above);

}  // namespace keyhold::store
