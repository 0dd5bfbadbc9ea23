// A store that is named by its directory, and the node that it may belong to.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "keyring/keyring.h"
#include "node/opened.h"
#include "store/inode.h"

namespace keyhold::app {

struct StoreLocation {
  std::string store;
  std::string node;  // the node's directory; empty: the store is nobody's
};

// `dir` is the store's, or that of the node that has it.
StoreLocation LocationOf(const std::string& dir);

// How far ring and store have been, as the node and its server have seen it: what is below that is a copy
// which was put back. Zeroes where there is no node. kCorrupt: its files are damaged.
StatusOr<node::Past> SeenBy(const std::string& node_dir);

// A store that nobody serves, for as long as this lives.
struct LockedStore {
  std::unique_ptr<store::Descriptor> dir;
  std::unique_ptr<store::Descriptor> lock;
  keyring::Peeked peeked;

  keyring::Place place() const { return {SystemPosix(), dir->get(), crypto::SystemRandom(), SystemClock()}; }
};

// Errors as of LockStore and PeekKeyRing.
StatusOr<LockedStore> Lock(const StoreLocation& location);

}  // namespace keyhold::app
