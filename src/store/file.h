// One file of a store: plaintext in, sectors out. Format: docs/formats/store.md.
//
// A File knows its backing file by no path and keeps no descriptor: each call is given one, open for reading
// and writing, so that thousands of files need none between calls. One File per backing inode at a time; all
// calls are safe from any thread: many readers, or one writer.
//
// What holds after a failure: a write that failed has changed each of its blocks or not, never half of one,
// and size() is true. After a crash each block is as it was before or after the writes since the last Sync(),
// never unreadable.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/identity.h"
#include "store/seal_map.h"

namespace keyhold::store {

enum class Durability { kLazy, kDSync };  // kDSync: durable when the call returns, in one write (RWF_DSYNC)
enum class Whence { kData, kHole };

// kCount counts blocks by their headers, kVerify authenticates them, kRewrite puts those that are not under
// the active data key under it.
enum class SurveyKind { kCount, kVerify, kRewrite };

// What surveys of blocks found.
struct Survey {
  using MapCounters = std::map<uint64_t, uint64_t>;  // by group

  std::map<DataKeyId, uint64_t> blocks;  // as they were found
  std::map<DataKeyId, uint64_t> maps;
  MapCounters map_counters;          // of maps that authenticate; of kVerify
  uint64_t rewritten = 0;            // sectors
  uint64_t bytes = 0;                // read and written
  std::vector<std::string> damaged;  // "block 7 does not authenticate"
};

class File {
  using Counters = std::unordered_map<uint64_t, uint64_t>;  // block: counter of its last write

 public:
  // What a sync that is under way will have made durable.
  class Syncing {
    friend class File;
    std::list<Counters>::iterator written;
    uint64_t round = 0;    // map_rounds_
    uint64_t counter = 0;  // of the identity
  };

  // The file behind `fd`, which must be empty: gives it that identity. `lines`, which outlives the file,
  // learns what of it is durable; null: nobody does.
  static StatusOr<std::unique_ptr<File>> Create(const Context& context, int fd, const Identity& identity,
                                                Register* lines = nullptr);
  // An existing one. kCorrupt when identity, last block or length do not fit each other, or are older than
  // their lines.
  static StatusOr<std::unique_ptr<File>> Open(const Context& context, int fd, Register* lines = nullptr,
                                              InodeKind kind = InodeKind::kFile);

  uint64_t size() const;
  const FileId& id() const { return identity_.id; }

  // Bytes read: less than asked only at the end of the file. kCorrupt names the block; `out` then holds no
  // data.
  StatusOr<size_t> Read(int fd, uint64_t offset, crypto::MutableBytes out);
  // kInvalidArgument beyond kMaxFileSize; kResourceExhausted when the disk is full.
  Status Write(int fd, uint64_t offset, crypto::Bytes in, Durability durability);
  Status Truncate(int fd, uint64_t size);
  // fallocate(2): mode 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE[|KEEP_SIZE]; else kUnimplemented.
  Status Allocate(int fd, int mode, uint64_t offset, uint64_t size);
  // futimens(2). Maps and re-encryption, which are written at any time, leave the times as they are.
  Status SetTimes(int fd, const timespec times[2]);
  // lseek(2) SEEK_DATA and SEEK_HOLE; errno ENXIO where there is none.
  StatusOr<uint64_t> Seek(int fd, uint64_t offset, Whence whence);
  // Everything written before the call is durable, and so is the size.
  Status Sync(int fd, bool data_only);

  // A sync of many files at once, by somebody else. BeginSync(), then all that is there is made durable,
  // attributes too, with `result` (a negative errno, or 0), then EndSync(), in any case. Errors as of Sync().
  Syncing BeginSync(int fd);
  Status EndSync(int fd, const Syncing& syncing, int result);
  // Something waits for such a sync: maps, or what was written before the counter `written_before` and that
  // nobody has synced since.
  bool AwaitsSync(uint64_t written_before) const;

  // Writes down in the maps what has become durable since. Never needed for durability; to be called now and
  // then, and twice before a file is put away, until HasUnsealed() is false.
  Status Seal(int fd);
  bool HasUnsealed() const;

  // The register lags behind the identity: it was written since (kWritten), or found so. It catches up with a
  // sync that is not of data only.
  enum class Lag { kNone, kFound, kWritten };
  Lag RegisterLag() const;

  // Looks at some blocks from `first` on, under the file's lock, and returns the block to go on with; nothing
  // at the end. What does not authenticate is noted and left as it is; errors are the disk's.
  StatusOr<std::optional<uint64_t>> LookAt(int fd, uint64_t first, SurveyKind kind, Survey* survey);
  // The identity, and another with other keys in its place, not yet durably.
  Identity identity() const;
  Status SetKeys(int fd, DataKeyId key, DataKeyId previous);

  // Wipes the plaintext kept for appends: for a file that nobody has open.
  void Rest();
  // Nothing would be lost with this object: all that it knows is durable, and in maps and register.
  bool IsSettled() const;
  // Lets go of what only makes the next call faster (plaintext, maps, expanded keys) where nobody read or
  // wrote since the last time: of thousands of open files few are in use. True when it did, and IsSettled().
  bool Cool();

 private:
  // The last blocks that were written in part, decrypted: an append to the same block needs no read.
  class RecentBlocks {
   public:
    ~RecentBlocks() { DropFrom(0); }
    const uint8_t* Find(uint64_t block) const;
    void Put(uint64_t block, const uint8_t* payload);
    void DropFrom(uint64_t block);
    void Drop(uint64_t first, uint64_t end);

   private:
    struct Slot {
      uint64_t block = 0;
      std::vector<uint8_t> payload;  // empty: unused
    };
    std::array<Slot, 2> slots_;
    size_t next_ = 0;
  };

  File(const Context& context, const Identity& identity, uint64_t floor, uint64_t settled, Register* lines);

  Status LoadSize(int fd);
  Status OpenBlock(const uint8_t* sector, uint64_t block, uint64_t required, uint8_t* payload,
                   uint16_t* length);
  Status LoadBlock(int fd, uint64_t block, uint8_t* payload);
  Status ReadRun(int fd, uint64_t first, size_t count, uint64_t offset, crypto::MutableBytes out);
  Status WriteLocked(int fd, uint64_t offset, crypto::Bytes in, Durability durability);
  Status WriteRun(int fd, uint64_t first, size_t count, uint64_t offset, crypto::Bytes in, uint64_t new_size,
                  Durability durability);
  StatusOr<const uint8_t*> PayloadFor(int fd, uint64_t block, uint64_t offset, crypto::Bytes in,
                                      uint8_t* scratch);
  Status GrowLocked(int fd, uint64_t size);
  Status ShrinkLocked(int fd, uint64_t size);
  Status ZeroLocked(int fd, uint64_t offset, uint64_t end);
  Status UnsealRange(int fd, uint64_t first, uint64_t end);
  Status PunchBlocks(int fd, uint64_t first, uint64_t end);
  Status LowerSealedLimit(int fd, uint64_t blocks);
  Status RaiseSealedLimit(int fd);
  Status ReserveCounters(int fd, uint64_t greatest);
  Status Renew(int fd, Identity changed);
  void IsSettled(uint64_t counter);
  Status WriteMap(int fd, uint64_t group, const MapEntries& entries, uint64_t counter);
  void MapsAreDurable();
  Syncing BeginSyncLocked();
  Status EndSync(int fd, const Syncing& syncing, int result, bool data_only);
  Status SyncFailed(int error);
  bool IsSettledLocked() const;
  Status WriteMaps(int fd);
  uint64_t MapReach(const std::map<uint64_t, std::vector<std::pair<uint64_t, uint64_t>>>& by_group) const;
  void Forget(uint64_t first, uint64_t end);
  Status LookAtMap(int fd, uint64_t group, SurveyKind kind, Survey* survey);
  bool Fits(const uint8_t* sector, uint64_t block, uint64_t required, SurveyKind kind, Survey* survey);
  Status Rewrite(int fd, uint64_t first, uint8_t* sectors, const std::vector<bool>& chosen, Survey* survey);

  const Context context_;
  std::atomic<bool> used_{true};  // read or written since the last Cool()
  const uint64_t floor_;          // no map that this File found has a greater counter
  Register* const register_;
  mutable std::shared_mutex mutex_;
  Identity identity_;
  FileCiphers ciphers_;
  SealMap maps_;
  uint64_t size_ = 0;  // guarded by mutex_, as all that follows
  RecentBlocks recent_;
  Counters pending_;                           // written, not known to be durable
  uint64_t pending_since_ = 0;                 // the counter of the first of them
  std::list<Counters> syncing_;                // what each Sync() under way will have made durable
  Counters durable_;                           // durable, not in a map
  uint64_t reserved_;                          // the identity's counter, as it is durable
  uint64_t settled_;                           // of the identity, as the register has it
  bool written_ = false;                       // the identity, since then
  std::map<uint64_t, uint64_t> written_maps_;  // group: counter; not known to be durable
  uint64_t mapped_blocks_ = 0;   // maps are written up to here, not known to be durable; 0: none
  uint64_t map_rounds_ = 0;      // how often maps were written
  std::set<uint64_t> doubtful_;  // groups whose cleared entries a failed sync may have lost
};

}  // namespace keyhold::store
