// Whole transfers over the disk seam.
#pragma once

#include "base/posix.h"
#include "base/status.h"
#include "crypto/secret.h"

namespace keyhold::store {

// Reads until `out` is full or the file ends; the bytes read.
StatusOr<size_t> ReadFully(Posix& posix, int fd, crypto::MutableBytes out, uint64_t offset);

// Writes all of `in`. After an error any part of it may have been written.
Status WriteFully(Posix& posix, int fd, crypto::Bytes in, uint64_t offset, int rwf_flags);

// The same for what no user has written: the file's times stay. Not while others write to it or set them.
Status WriteKeepingTimes(Posix& posix, int fd, crypto::Bytes in, uint64_t offset);

}  // namespace keyhold::store
