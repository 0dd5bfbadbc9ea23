// The file system of a store: names, directories, files and their attributes, as operations on inodes.
//
// A plaintext tree is mirrored by a backing tree below the store's directory `root`; what an observer of the
// disk sees of it is listed in docs/formats/store.md. Knows nothing of FUSE. All calls are safe from any
// thread; like the kernel, the caller does not change one directory from two threads at once. Errors carry
// the errno to answer with (store/errno.h); kCorrupt is counted and logged with inode and block.
#pragma once

#include <sys/statvfs.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "store/inode.h"

namespace keyhold::store {

struct Owner {
  uid_t uid;
  gid_t gid;
};

struct Entry {
  Inode* inode = nullptr;  // with one more lookup, to be given back with Forget()
  struct stat st {};
};

struct Listed {
  std::string name;
  ino_t number;
  unsigned char type;  // DT_REG ...
};

// What SetAttributes() changes: each where it is set.
struct Change {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<uint64_t> size;
  std::optional<timespec> accessed;  // tv_nsec may be UTIME_NOW
  std::optional<timespec> modified;
};

// What users' extended attributes of a backing inode are stored as: names and sealed values.
StatusOr<std::vector<std::pair<std::string, std::string>>> BackingAttributes(Posix& posix, int fd);

class Tree {
 public:
  // Opens the store in the directory `store`, or makes an empty one where there is no `root` yet.
  // `open_descriptors` bounds how many backing files are open at a time; `store` outlives the tree. kCorrupt
  // (the register's too), kIo; kFailedPrecondition where the file system below is not fit, or the generation
  // is below `min_generation`: nothing was written then.
  static StatusOr<std::unique_ptr<Tree>> Open(const Context& context, int store, size_t open_descriptors,
                                              uint64_t min_generation = 0);
  // The same of a store whose register is not asked: what authenticates is taken in as it is found
  // (store/restored.h). kFailedPrecondition where a newer Keyhold wrote the register.
  static StatusOr<std::unique_ptr<Tree>> OpenAnew(const Context& context, int store, size_t open_descriptors);
  // As Close(), where that was not called; logs what it cannot do.
  ~Tree();

  // Seals all, and puts the register on the disk where there is something new, or a generation was asked for.
  // Of one thread, as the last call.
  Status Close();
  // Instead of Close(): the register on the disk stays as it is.
  void Abandon() { closed_ = true; }

  Inode* root() const { return root_; }
  uint64_t corrupt_count() const { return corrupt_; }
  DataKeyId active_key() const { return context_.keys.Active(); }
  // Reads, writes and syncs that users have asked for so far: how busy the store is.
  uint64_t requests() const { return requests_.load(std::memory_order_relaxed); }

  StatusOr<Entry> Lookup(Inode* parent, const std::string& name);
  void Forget(Inode* inode, uint64_t count);
  StatusOr<struct stat> Attributes(Inode* inode);
  StatusOr<struct stat> SetAttributes(Inode* inode, const Change& change);

  StatusOr<Entry> MakeFile(Inode* parent, const std::string& name, mode_t mode, Owner owner);
  StatusOr<Entry> MakeDirectory(Inode* parent, const std::string& name, mode_t mode, Owner owner);
  StatusOr<Entry> MakeNode(Inode* parent, const std::string& name, mode_t mode, dev_t device, Owner owner);
  StatusOr<Entry> MakeSymlink(Inode* parent, const std::string& name, const std::string& target, Owner owner);
  StatusOr<Entry> MakeLink(Inode* inode, Inode* parent, const std::string& name);
  StatusOr<std::string> ReadLink(Inode* inode);
  Status Unlink(Inode* parent, const std::string& name);
  Status RemoveDirectory(Inode* parent, const std::string& name);
  // renameat2(2): `flags` 0, RENAME_NOREPLACE or RENAME_EXCHANGE.
  Status Rename(Inode* parent, const std::string& name, Inode* new_parent, const std::string& new_name,
                unsigned flags);
  // Without "." and "..". Entries that are not ours are left out.
  StatusOr<std::vector<Listed>> List(Inode* directory);

  // Opened and closed by a user of the file: at the last close its plaintext is wiped from our memory.
  void Opened(Inode* inode);
  void Closed(Inode* inode);
  StatusOr<size_t> Read(Inode* inode, uint64_t offset, crypto::MutableBytes out);
  Status Write(Inode* inode, uint64_t offset, crypto::Bytes in, Durability durability);
  Status Allocate(Inode* inode, int mode, uint64_t offset, uint64_t size);
  StatusOr<uint64_t> Seek(Inode* inode, uint64_t offset, Whence whence);
  Status Sync(Inode* inode, bool data_only);  // files and directories
  StatusOr<struct statvfs> Space();

  // Extended attributes: names below "user."; others errno EOPNOTSUPP. `flags` as of setxattr(2).
  StatusOr<std::string> GetAttribute(Inode* inode, const std::string& name);
  Status SetAttribute(Inode* inode, const std::string& name, const std::string& value, int flags);
  StatusOr<std::vector<std::string>> ListAttributes(Inode* inode);
  Status RemoveAttribute(Inode* inode, const std::string& name);

  // Makes durable what nobody has synced for `patience` since it was written, writes down in the maps what is
  // durable, and lets go of the files that are idle.
  void SealSome(absl::Duration patience);
  // The same of all that is there, until nothing is left of it, as before a clean end.
  void SealAll();

  // The number of the register on the disk: who remembers it notices an older store. 0: there is none, the
  // store is from before there were any.
  uint64_t generation() const { return register_->number(); }
  // How many lines the register has.
  size_t register_size() const { return register_->size(); }
  // Puts the register on the disk where there is something new.
  Status Record();
  // The same in any case, with a number above `above`. On failure the number is as it was.
  Status NextGeneration(uint64_t above);

 private:
  friend class Surveyor;

  // What an entry that is to go leads to.
  struct Target {
    Lease lease;             // null: nothing, or neither file nor directory
    Inode* inode = nullptr;  // null: the kernel does not know it
  };

  // An entry that came to stand where it is while a survey runs.
  struct Moved {
    Inode* parent = nullptr;  // with a lookup
    std::string name;
  };

  // An inode, with a lookup, and its file, which is in memory.
  struct Loaded {
    Inode* inode = nullptr;
    std::shared_ptr<File> file;
  };

  // A file that was just made: it need not be opened and read to be known.
  struct Fresh {
    Lease lease;
    std::unique_ptr<File> file;
  };

  Tree(const Context& context, int store, Lease root, size_t open_descriptors);

  static StatusOr<std::unique_ptr<Tree>> OpenRoot(const Context& context, int store, size_t open_descriptors);
  Status Start(std::unique_ptr<Register> lines);
  Status FitRegister(Register& found, uint64_t min_generation);
  StatusOr<Identity> DirectoryIdentity(Inode* directory, int fd);
  Status Count(const Inode* inode, Status status);
  void Asked() { requests_.fetch_add(1, std::memory_order_relaxed); }
  StatusOr<std::shared_ptr<File>> FileOf(Inode* inode, int fd);
  std::shared_ptr<File> LoadedFileOf(Inode* inode);
  bool IsWorthKeeping(Inode* inode);
  bool HasName(int fd);
  StatusOr<const Names*> NamesOf(Inode* directory, int fd);
  StatusOr<struct stat> StatOf(Inode* inode, int fd);
  Status SetSize(Inode* inode, int fd, struct stat* st);
  StatusOr<std::string> SealedTargetOf(int fd);
  StatusOr<std::string> TargetOf(int fd);
  StatusOr<DataKeyId> KeyOfLink(int fd);
  Status SetOwner(const Change& change, int fd);
  Status SetTimes(Inode* inode, const Change& change, int fd);
  StatusOr<Entry> Finish(int dir, const SealedName& sealed, Fresh* fresh = nullptr);
  Status WriteSide(int dir, const SealedName& sealed);
  void RemoveSide(int dir, const SealedName& sealed);
  StatusOr<Entry> Make(Inode* parent, const std::string& name,
                       const std::function<Status(int dir, const char* entry)>& make, Fresh* fresh = nullptr);
  StatusOr<std::string> MakeScratch(int dir, int unlink_flags,
                                    const std::function<Status(const char* scratch)>& make);
  Status MakeWhole(int dir, const char* entry, int unlink_flags,
                   const std::function<Status(const char* scratch)>& make);
  Status Remove(Inode* parent, const std::string& name, int flags);
  Status RemoveOrphans(int parent, const char* entry);
  StatusOr<Target> PinTarget(int dir, const char* entry);
  void NoteGone(const Target& target);
  std::optional<FileId> IdOf(const Target& target, InodeKind kind);
  void NoteUnmade(Inode* parent, const Identity& identity);
  void NoteRemovedFrom(Inode* directory);
  Status RecordHoldingRecording(std::optional<uint64_t> above, bool end);
  std::vector<Loaded> LoadedFiles();
  Status SyncTogether(std::span<const Loaded> files);
  Status SyncAtOnce(std::span<const Loaded> files);
  bool SealRound(uint64_t written_before);
  bool Unload(const Loaded& loaded);
  Status SettleFiles();
  Status SettleRemovals();
  StatusOr<bool> RenewRoot(bool registered);
  Status AdoptFile(int dir, const char* entry, const Identity& identity, mode_t mode, Owner owner,
                   Fresh* fresh);
  Status AdoptDirectory(int dir, const char* entry, const Identity& identity, mode_t mode, Owner owner);
  Status GiveTo(int dir, const char* entry, Owner owner);
  StatusOr<std::string> BackingAttribute(Inode* inode, int fd, const std::string& name);
  StatusOr<Identity> IdentityOf(Inode* inode, int fd);
  StatusOr<std::string> ReadSide(int dir, const std::string& side);
  StatusOr<Entry> LookUpLocked(Inode* parent, const std::string& name);
  StatusOr<std::string> NameOf(int dir, const Names& names, std::string_view entry);
  void NoteMoved(Inode* parent, const std::string& name);
  Status MoveNames(Inode* directory, int fd, const Identity& identity, DataKeyId from);
  Status MoveEntry(int fd, const Names& from, const Names& to, const std::string& entry);
  StatusOr<bool> MoveAttributes(int fd, const Identity& identity, DataKeyId from);
  Status FinishMoves(File& file, int fd);
  StatusOr<bool> RekeyDirectory(Inode* directory, int fd);
  StatusOr<bool> RekeyAttributes(Inode* inode, int fd);
  StatusOr<bool> RekeyLink(Inode* link, int dir, const char* entry);

  const Context context_;
  const int store_;
  const Lease root_lease_;
  std::unique_ptr<Register> register_;  // set once; before the inodes, whose files know it
  InodeTable inodes_;
  Inode* root_ = nullptr;
  std::atomic<uint64_t> corrupt_{0};
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> scratches_{0};  // names of what is being made

  bool closed_ = false;

  std::mutex recording_;   // held through a record; taken before the next but one
  bool numbered_ = false;  // guarded by recording_: a generation was asked for
  std::mutex removals_mutex_;
  std::set<Inode*> removed_from_;  // guarded by removals_mutex_, as the next; with a lookup each
  std::vector<FileId> gone_;       // files and directories whose ends are not known to be durable

  // Held by whoever makes, removes, moves or looks up names; alone by who moves names to another data key.
  std::shared_mutex gate_;
  std::mutex moved_mutex_;
  bool watching_ = false;  // guarded by moved_mutex_, as the next
  std::vector<Moved> moved_;
};

}  // namespace keyhold::store
