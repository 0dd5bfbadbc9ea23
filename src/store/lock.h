// A store is worked on by one process at a time.
#pragma once

#include <memory>

#include "store/inode.h"

namespace keyhold::store {

// Takes the lock of the store in the directory `store`, for as long as the result lives. kFailedPrecondition
// when another process has it.
StatusOr<std::unique_ptr<Descriptor>> LockStore(Posix& posix, int store);

}  // namespace keyhold::store
