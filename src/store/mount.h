// A store as a file system of the kernel (FUSE).
//
// The mount appears in the mount namespace of the calling thread. Plaintext is only in the page cache of that
// mount, and goes with it. A store is mounted once at a time (it locks its directory).
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "store/context.h"
#include "store/reencrypt.h"

namespace keyhold::store {

struct MountOptions {
  std::string mountpoint;          // an existing directory
  std::string source = "keyhold";  // what the table of mounts names it by
  uint64_t min_generation = 0;     // what is older is refused
  // Files opened O_DSYNC bypass the page cache: one durable write per call, no second request to sync it. For
  // WALs.
  bool direct_dsync = true;
  // Extended attributes of users. Without them the kernel asks for none, which saves a request for each
  // write.
  bool extended_attributes = true;
  // Backing files held open at a time.
  size_t open_descriptors = 2048;
  // How often what became durable is written down in the maps.
  absl::Duration seal_interval = absl::Seconds(5);
  // After how long what a program wrote and nobody synced is synced here.
  absl::Duration sync_after = absl::Minutes(1);
  // How often the register is put on the disk where there is something new; for each hundred thousand lines
  // that it has.
  absl::Duration register_interval = absl::Minutes(1);
};

class Mount {
 public:
  // Opens the store in the directory `store` (kept by the caller until Stop() has returned; empty: a new
  // store) and returns when the kernel has taken the mount. Errors as of Tree::Open; kFailedPrecondition also
  // when the store is in use; kIo when the kernel refuses. `context` and all it names outlive the Mount.
  static StatusOr<std::unique_ptr<Mount>> Start(const Context& context, int store,
                                                const MountOptions& options);

  // As Stop(), with a lazy end, where that was not called.
  ~Mount();

  // Writes back what is dirty, unmounts and ends every thread: afterwards no file is open and no key in use.
  // The store's lock goes with this object, so that its owner can first write what is left to write. If it is
  // still busy at `deadline`, what is open there gets errors, the mount goes all the same, and the status
  // says so (kFailedPrecondition).
  Status Stop(absl::Duration deadline);

  // Returns when the mount has ended, by Stop() or by umount(8).
  void Wait();

  // Blocks (or inodes) that did not authenticate since the start.
  uint64_t corrupt_count() const;

  // The number of the store's register; still there after Stop(). Who remembers it notices an older store.
  uint64_t generation() const;
  // Puts the register on the disk with a number above `above`. On failure the generation is as it was.
  Status NextGeneration(uint64_t above);

  // Of this store, in the background. Stop() stops it; it is not to be started again then.
  Reencryption& reencryption();

 private:
  class Impl;
  explicit Mount(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keyhold::store
