// Reading a backing directory.
#pragma once

#include <functional>
#include <string_view>

#include "base/posix.h"
#include "base/status.h"

namespace keyhold::store {

// Calls `each` for every entry but "." and "..", from the start, until it returns false. `fd` is used for
// nothing else meanwhile.
Status EachEntry(Posix& posix, int fd,
                 const std::function<bool(std::string_view entry, ino_t number, unsigned char type)>& each);

StatusOr<bool> IsEmptyDirectory(Posix& posix, int fd);

}  // namespace keyhold::store
