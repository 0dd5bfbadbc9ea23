// The FUSE requests of a mounted store: each a few lines from the kernel's words to the tree's and back.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <functional>

#include "store/mount.h"
#include "store/tree.h"

namespace keyhold::store {

// The session's user data.
struct FuseState {
  Tree& tree;
  const MountOptions& options;
  std::function<void()> ready;  // the kernel has sent INIT
  // Runs work that waits for other requests of the mount, and must not keep them from being served.
  std::function<void(std::function<void()>)> aside;
  fuse_session* session = nullptr;
};

fuse_lowlevel_ops FuseOperations(const MountOptions& options);

}  // namespace keyhold::store
