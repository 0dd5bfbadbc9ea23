// The inodes that the kernel knows, and descriptors for them.
//
// An inode is found again by a handle (name_to_handle_at(2)), so that it needs no descriptor between calls;
// the last used descriptors are kept open. Where the file system below has no handles, and for files whose
// last name is gone, the descriptor stays with the inode.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "store/file.h"
#include "store/names.h"

namespace keyhold::store {

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(Posix& posix, int fd) : posix_(posix), fd_(fd) {}
  ~Descriptor() { posix_.Close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  Posix& posix_;
  const int fd_;
};
using Lease = std::shared_ptr<Descriptor>;

struct InodeKey {
  dev_t device;
  ino_t number;
  bool operator==(const InodeKey&) const = default;
};

struct Inode {
  InodeKey key{};
  mode_t type = 0;       // S_IFREG, S_IFDIR ...
  std::string handle;    // a struct file_handle; empty: `pinned` is always set; a link's: guarded by `mutex`
  uint64_t lookups = 0;  // guarded by InodeTable, as is the next
  bool lingers = false;  // one of the lookups is there for the sake of `file`

  std::mutex mutex;  // of all below
  Lease pinned;
  std::shared_ptr<File> file;         // regular files, while it is of use: InodeTable::NoteLoaded()
  std::optional<Identity> directory;  // directories, once needed
  std::unique_ptr<Names> names;
  int opens = 0;
};

// Safe to use from any thread.
class InodeTable {
 public:
  // `mount` is a descriptor of the file system that the inodes are on; it outlives the table.
  InodeTable(Posix& posix, int mount, size_t open_descriptors)
      : posix_(posix), mount_(mount), capacity_(open_descriptors) {}

  // The inode of `entry` in the directory `dir` (`entry` empty: of `dir` itself), with one more lookup.
  StatusOr<Inode*> Find(int dir, const char* entry, struct stat* st);

  // The inode if the kernel knows it; no lookup is counted.
  Inode* Known(const struct stat& st);

  // A descriptor for reading and writing (of special files and links: O_PATH), good for as long as it is
  // held.
  StatusOr<Lease> Open(Inode* inode);

  // What Open() gives from now on, for as long as it stays among the last used: `lease` is such a descriptor
  // of `inode`.
  Lease Lend(Inode* inode, Lease lease);

  // Keeps a descriptor with the inode for as long as it lives: its last name goes.
  Status Pin(Inode* inode);

  // Takes `count` lookups back; after the last one returns the inode, which the caller ends.
  std::unique_ptr<Inode> Forget(Inode* inode, uint64_t count);

  // The same, but where it would be the last one, apart from that with which it lingers: false then, and
  // nothing happens.
  bool ForgetUnlessLast(Inode* inode, uint64_t count);
  // An inode whose lookups are about to go stays with one more, until EndLingering(), which takes that back.
  void Linger(Inode* inode);
  void EndLingering(Inode* inode);

  // One more lookup of an inode that has some.
  void Keep(Inode* inode);

  // `inode` stands at `entry` of `dir` from now on: another backing inode has taken its place there.
  Status Replace(Inode* inode, int dir, const char* entry);

  // Every inode, with one more lookup each: the caller gives them back with Forget().
  std::vector<Inode*> All();

  // The inode's file came to memory, or went; its mutex is held. An inode that ends goes by itself.
  void NoteLoaded(Inode* inode);
  void NoteUnloaded(Inode* inode);
  // As All(), of those only whose file is in memory.
  std::vector<Inode*> Loaded();

 private:
  struct HashKey {
    size_t operator()(const InodeKey& key) const { return key.number * 31 + key.device; }
  };
  struct Cached {
    Lease lease;
    std::list<Inode*>::iterator place;
  };

  Status Locate(int dir, const char* entry, Inode* inode);
  StatusOr<Lease> OpenFresh(Inode* inode);

  Posix& posix_;
  const int mount_;
  const size_t capacity_;
  std::mutex mutex_;
  std::unordered_map<InodeKey, std::unique_ptr<Inode>, HashKey> inodes_;  // guarded by mutex_
  std::unordered_map<Inode*, Cached> open_;                               // guarded by mutex_
  std::list<Inode*> recent_;           // guarded by mutex_; last used first
  std::mutex loaded_mutex_;            // taken last of all: after mutex_, and after an inode's
  std::unordered_set<Inode*> loaded_;  // guarded by loaded_mutex_
};

}  // namespace keyhold::store
