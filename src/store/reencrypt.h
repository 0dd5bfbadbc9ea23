// Re-encryption of a store under its active data key, in the background and under traffic.
//
// Blocks are rewritten in place, one atomic sector each, so that it may be cut off at any instant: what was
// done stays done, and Start() goes on where it ended (files that are finished say so in their identity).
// Names, links' targets and extended attributes go over too. It ends with a scan of everything that is in the
// store (the proof): only when that finds nothing under an older data key is the state kDone. How a store is
// kept readable meanwhile: docs/formats/store.md.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "keyring/keyring.h"
#include "store/context.h"

namespace keyhold::store {

class Tree;

// How much of a store is under one data key.
struct KeyUse {
  uint64_t blocks = 0;  // of files: data sectors
  uint64_t maps = 0;    // map sectors
  uint64_t others =
      0;  // identities (a directory's with its names), links' targets, extended attributes, the register

  uint64_t total() const { return blocks + maps + others; }
};

// What a scan of a whole store found.
struct Census {
  std::map<DataKeyId, KeyUse> uses;  // keys that are not in it have no use
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t links = 0;
  uint64_t damaged = 0;                     // places that do not authenticate
  std::vector<std::string> damaged_places;  // the first hundred, as "inode N: why"
  // Of files and directories that the register knows, those that were not found sound; by TakeCensus() with
  // `authenticate`. Ends of files that a crash came close behind are among them.
  uint64_t missing = 0;
};

// kCounting: looks how much there is; kRewriting; kProving: scans everything again. The others are ends.
enum class ReencryptState { kIdle, kCounting, kRewriting, kProving, kDone, kStopped, kFailed };

// "proving"; never null.
const char* StateName(ReencryptState state);

struct ReencryptProgress {
  ReencryptState state = ReencryptState::kIdle;
  DataKeyId target = 0;             // everything goes under this key, or one that became active later
  uint64_t blocks_total = 0;        // data blocks of the store, as counted at the start or found since
  uint64_t blocks_done = 0;         // of them, those known to be under the target; all of them at kDone
  uint64_t blocks_rewritten = 0;    // by this run
  double fraction = 0;              // of the whole run, the proof included; 1 at kDone and only then
  double bytes_per_second = 0;      // read and written, on average over this run
  absl::Duration remaining;         // at that rate; infinite where nothing can be said yet
  absl::Duration yielded;           // waited because the store was in use
  absl::Time started_at, ended_at;  // InfinitePast, InfiniteFuture where that has not happened
  Census census;                    // at kDone: what the proof found
  Status status;                    // at kFailed: why
};

struct ReencryptOptions {
  uint64_t bytes_per_second = 32 << 20;  // read and written together; 0: no limit
  // While users of the store ask for more than a few dozen reads, writes and syncs a second, it works no more
  // than this part of the time; 1: it takes no notice of them.
  double busy_share = 0.1;
};

// One store's re-encryption. Safe to use from any thread.
class Reencryption {
 public:
  // `tree` and `clock` outlive it.
  Reencryption(Tree& tree, Clock& clock);
  ~Reencryption();  // as Stop()

  // Begins, or goes on, in a thread of its own, with the data key that is active now. kConflict when it is
  // under way.
  Status Start(const ReencryptOptions& options);
  // Ends it at the next block and returns when it has ended; the state is then kStopped, unless it was at an
  // end before.
  void Stop();
  ReencryptProgress Progress() const;
  // Returns when it is at an end, with the last progress.
  ReencryptProgress Wait();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

// Reads everything and changes nothing: what is under which data key and, with `authenticate`, what does not
// authenticate (without it, blocks are counted by their headers alone).
StatusOr<Census> TakeCensus(Tree& tree, bool authenticate);

// The same with `authenticate`, and where nothing is damaged, what is missing counts as deleted from now on:
// the register forgets it.
StatusOr<Census> ForgetMissing(Tree& tree);

// Destroys the retired data keys that `proven` (kDone) showed to be of no more use: those older than its
// target. The proof is kept in the ring. Their ids, oldest first. kFailedPrecondition when nothing is proven;
// other errors as of KeyRing::DestroyProven.
StatusOr<std::vector<DataKeyId>> DestroyUnusedKeys(keyring::KeyRing& ring, const ReencryptProgress& proven);

}  // namespace keyhold::store
