// The register of a store: which files and directories it has, and how new each must be at the least.
//
// A file that is older than its line, or that has none and ought to, was put back: kCorrupt. The register is
// one file beside the store's root, always replaced as a whole, and its number grows with each replacement:
// who remembers the number (the store's generation) notices an older register. Lines are written only after
// what they speak of is durable, and taken away only after the file's end is, so a crash leaves files newer
// than their lines, never older. Format: docs/formats/register.md. Safe to use from any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "store/identity.h"

namespace keyhold::store {

struct Survey;

// Of one thing that has a counter: a file's or directory's identity (part 0), or a map of a file.
struct Line {
  FileId file;
  uint64_t part;
  uint64_t counter;  // it has no lower one
};

constexpr uint64_t PartOfMap(uint64_t group) { return group + 1; }

// kFailedPrecondition: a store of this generation is an older one than that of `least`.
Status CheckGeneration(uint64_t generation, uint64_t least);

class Register {
 public:
  // Reads the register in the directory `store`, which outlives it; none: an empty one, with number 0, that
  // is not on the disk yet. kCorrupt when it is damaged or of an unknown version.
  static StatusOr<std::unique_ptr<Register>> Open(const Context& context, int store);

  // One without lines, for a store that was put back: takes in what it is asked to check, as it is found, and
  // stands in the place of the one on the disk once it is written, whether that is damaged, gone or sound.
  // Its births are beyond those of all that was there. kFailedPrecondition where a newer Keyhold wrote the
  // one on the disk; kIo.
  static StatusOr<std::unique_ptr<Register>> Anew(const Context& context, int store);

  // Of the register on the disk; 0 when there is none.
  uint64_t number() const;
  // How many lines there are.
  size_t size() const;
  // True when the disk does not have it all.
  bool changed() const;

  // The root that the store has had from the start; zeroes while there is none.
  FileId root() const;
  void SetRoot(const FileId& root);

  // The store is older than registers: what is there is taken in as it is found.
  void TakeInAll();

  // A new identity, and its line. The first one makes the register durable: a crash from here on is told
  // from a clean end. Errors are the disk's.
  StatusOr<Identity> Enter(InodeKind kind);

  // Holds what was found on the disk against its line, whose counter is returned; 0 for what is taken in.
  // kCorrupt when it is older than its line, or was deleted before.
  StatusOr<uint64_t> Check(const Identity& found);

  bool Has(const FileId& file) const;

  // The lowest counter that `part` of `file` may have.
  uint64_t Least(const FileId& file, uint64_t part) const;

  // It is durable with this counter. Nothing for a file without a line.
  void Raise(const FileId& file, uint64_t part, uint64_t counter);

  // Their ends are durable.
  void Drop(const std::vector<FileId>& files);

  // All that is in the tree has a line.
  void AllAreEntered();

  // The files and directories with a line that are not among `seen`.
  std::vector<FileId> Missing(const std::set<FileId>& seen);

  // Puts it on the disk, durably, with a number above `above` and all that were before. `end`: nothing is
  // entered from here on. After an error the disk has the one before, or this one.
  Status Write(uint64_t above, bool end);

  // What the register on the disk is sealed under.
  StatusOr<Survey> Count() const;

 private:
  // Births of which files may be there without a line: [first, second).
  using Births = std::pair<uint64_t, uint64_t>;
  using Lines = std::vector<Line>;
  using Key = std::pair<FileId, uint64_t>;

  Register(const Context& context, int store) : context_(context), store_(store) {}

  Status ReadFrom(int store);
  Status Read(int fd);
  bool IsLoose(uint64_t birth) const;
  Status Begin();
  Status Replace(uint64_t above, bool open);
  Status Put(const std::vector<uint8_t>& head, const Lines& lines) const;
  std::vector<uint8_t> Head(uint64_t number, bool open) const;
  std::optional<uint64_t> Find(const FileId& file, uint64_t part) const;
  void Merge();

  const Context context_;
  const int store_;

  std::mutex writing_;               // held through a replacement; taken before mutex_
  std::atomic<bool> begun_ = false;  // the register on the disk says that files are made

  mutable std::mutex mutex_;
  uint64_t number_ = 0;  // guarded by mutex_, as all that follows
  uint64_t birth_ = 1;   // of what is made now
  FileId root_{};
  std::vector<Births> loose_;
  std::shared_ptr<const Lines> lines_ = std::make_shared<Lines>();  // by file and part
  std::map<Key, uint64_t> raised_;                                  // since then
  std::set<FileId> dropped_;                                        // since then
  bool changed_ = false;
};

}  // namespace keyhold::store
