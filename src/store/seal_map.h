// The maps of a file: for each block below the file's sealed limit, the lowest write counter that it must
// have.
//
// A block that is zero, or older than its entry, was taken away or put back: kCorrupt. Entries are written
// only after the data they speak of is durable, so a crash leaves blocks newer than their entries, never
// older. Reading is safe from any thread; the file's lock keeps writers alone.
#pragma once

#include <array>
#include <list>
#include <mutex>

#include "store/register.h"
#include "store/sector.h"

namespace keyhold::store {

using MapEntries = std::array<uint64_t, kGroupBlocks>;

class SealMap {
 public:
  // `lines`: what the file's maps are held against; null: nothing.
  SealMap(const Context& context, FileCiphers& ciphers, const FileId& file, const Register* lines)
      : context_(context), ciphers_(ciphers), file_(file), register_(lines) {}

  // The entries of blocks [first, first + count), all of one group, into `out`; 0 for blocks at or above
  // `limit`.
  Status Required(int fd, uint64_t first, size_t count, uint64_t limit, uint64_t* out);

  // The whole map of `group`. kCorrupt when its sector is missing, does not authenticate or is an older copy.
  StatusOr<MapEntries> Read(int fd, uint64_t group);

  // Replaces it on the disk, not yet durably. `counter`: of this write, greater than that of the one before.
  Status Write(int fd, uint64_t group, const MapEntries& entries, uint64_t counter);

  // Forgets what is cached of groups at or above `group`.
  void Drop(uint64_t group);

 private:
  static constexpr size_t kCachedGroups = 16;  // 64 KiB at most, for 32 MiB of a file read at random

  const Context& context_;
  FileCiphers& ciphers_;
  const FileId file_;
  const Register* const register_;
  std::mutex mutex_;
  std::list<std::pair<uint64_t, MapEntries>> cache_;  // guarded by mutex_; last used first
};

}  // namespace keyhold::store
