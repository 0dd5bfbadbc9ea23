// Reads and replaces the key ring's file through the disk seam.
#pragma once

#include <string>
#include <string_view>

#include "base/posix.h"
#include "base/status.h"

namespace keyhold::keyring {

inline constexpr char kScratchName[] =
    "keyring.new";  // of a ring that is being written; a leftover means nothing

// The whole file. kNotFound when there is none, kCorrupt when it is too long to be a key ring.
StatusOr<std::string> ReadRing(Posix& posix, int dir);

enum class Existing { kReplace, kRefuse };

// Writes, syncs, renames and syncs the directory: a crash leaves the old file or the new one, and OK means
// that the new one is durable. After an error the old file is in place, unless only the last sync failed:
// then it is the one or the other. kAlreadyExists with kRefuse.
Status WriteRing(Posix& posix, int dir, std::string_view content, Existing existing);

}  // namespace keyhold::keyring
