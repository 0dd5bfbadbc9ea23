// Durability, and the maps that follow it. The order that a crash relies on:
//   data durable, their counters reserved durably in the identity -> maps written -> maps durable -> the
//   limit in the identity raised; the limit lowered, or entries cleared durably -> blocks taken away.
// A sync that failed proves nothing about what was written before it, even when it is repeated: the kernel
// may have dropped those pages.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "store/file.h"

namespace keyhold::store {
namespace {

// Maps are not laid over a hole of more groups than this (126 MiB): what is written behind it stays unsealed.
constexpr uint64_t kLargestSealedGap = 64;

// So many blocks wait for their map at the most.
constexpr size_t kUnsealedBlocks = 8192;

}  // namespace

File::Syncing File::BeginSyncLocked() {
  Syncing syncing;
  syncing.written = syncing_.insert(syncing_.end(), std::exchange(pending_, {}));
  syncing.round = map_rounds_;
  syncing.counter = identity_.counter;
  return syncing;
}

Status File::EndSync(int fd, const Syncing& syncing, int result, bool data_only) {
  const std::unique_lock lock(mutex_);
  const Counters synced = std::move(*syncing.written);
  syncing_.erase(syncing.written);
  if (result != 0) return SyncFailed(-result);
  for (const auto& [block, counter] : synced) {
    uint64_t& last = durable_[block];
    last = std::max(last, counter);
  }
  if (!data_only) {
    reserved_ = std::max(reserved_, syncing.counter);
    IsSettled(syncing.counter);
  }
  if (syncing.round == map_rounds_) {
    MapsAreDurable();
    if (mapped_blocks_ != 0) KEYHOLD_RETURN_IF_ERROR(RaiseSealedLimit(fd));
  }
  return durable_.size() > kUnsealedBlocks ? WriteMaps(fd) : OkStatus();
}

Status File::Sync(int fd, bool data_only) {
  Syncing syncing;
  {
    const std::unique_lock lock(mutex_);
    syncing = BeginSyncLocked();
  }
  const int result = data_only ? context_.posix.FDataSync(fd) : context_.posix.FSync(fd);
  return EndSync(fd, syncing, result, data_only);
}

// What this sync makes durable is sealed next: the counters for that become durable with it.
File::Syncing File::BeginSync(int fd) {
  const std::unique_lock lock(mutex_);
  const bool seals = !pending_.empty() || !durable_.empty();
  if (seals && context_.counter.Next(floor_) + kReservedAhead / 2 > reserved_) {
    Identity reserved = identity_;
    reserved.counter = context_.counter.Next(floor_) + kReservedAhead;
    (void)Renew(fd, reserved);  // what seals without asks for it again, and tells why it cannot
  }
  return BeginSyncLocked();
}

Status File::EndSync(int fd, const Syncing& syncing, int result) {
  return EndSync(fd, syncing, result, false);
}

bool File::AwaitsSync(uint64_t written_before) const {
  const std::shared_lock lock(mutex_);
  return mapped_blocks_ != 0 || !written_maps_.empty() ||
         (!pending_.empty() && pending_since_ < written_before);
}

// What is in doubt stays under its older entry, or under none, until it is written again.
Status File::SyncFailed(int error) {
  pending_.clear();
  for (Counters& syncing : syncing_) syncing.clear();
  mapped_blocks_ = 0;
  written_maps_.clear();
  return ErrnoError(error, "syncing a backing file");
}

bool File::HasUnsealed() const {
  const std::shared_lock lock(mutex_);
  return !durable_.empty() || mapped_blocks_ != 0;
}

void File::Rest() {
  const std::unique_lock lock(mutex_);
  recent_.DropFrom(0);
}

bool File::IsSettledLocked() const {
  return pending_.empty() && syncing_.empty() && durable_.empty() && mapped_blocks_ == 0 &&
         written_maps_.empty() && doubtful_.empty() &&
         (register_ == nullptr || identity_.counter <= settled_);
}

bool File::IsSettled() const {
  const std::shared_lock lock(mutex_);
  return IsSettledLocked();
}

bool File::Cool() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || used_.exchange(false)) return false;
  recent_.DropFrom(0);
  maps_.Drop(0);
  ciphers_.Drop();
  return IsSettledLocked();
}

Status File::Seal(int fd) {
  const std::unique_lock lock(mutex_);
  if (mapped_blocks_ != 0) {
    const int result = context_.posix.FDataSync(fd);
    if (result != 0) return SyncFailed(-result);
    MapsAreDurable();
    KEYHOLD_RETURN_IF_ERROR(RaiseSealedLimit(fd));
  }
  return durable_.empty() ? OkStatus() : WriteMaps(fd);
}

Status File::LowerSealedLimit(int fd, uint64_t blocks) {
  mapped_blocks_ = 0;
  maps_.Drop(GroupOf(blocks));
  written_maps_.erase(written_maps_.lower_bound(GroupOf(blocks)), written_maps_.end());
  if (identity_.sealed_blocks <= blocks) return OkStatus();
  Identity lowered = identity_;
  lowered.sealed_blocks = blocks;
  return Renew(fd, lowered);
}

Status File::RaiseSealedLimit(int fd) {
  Identity raised = identity_;
  raised.sealed_blocks = std::max(identity_.sealed_blocks, std::min(mapped_blocks_, BlocksFor(size_)));
  mapped_blocks_ = 0;
  return raised.sealed_blocks == identity_.sealed_blocks ? OkStatus() : Renew(fd, raised);
}

// Each identity has a greater counter than the one before: that is how an older one is told.
Status File::Renew(int fd, Identity changed) {
  changed.counter = std::max(changed.counter, identity_.counter + 1);
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context_, fd, changed));
  identity_ = changed;
  written_ = true;
  return OkStatus();
}

// No map has a counter above the one in the identity, neither its own nor an entry, whatever is lost in a
// crash: what is written after it is then newer, also where the clock was set back. fdatasync(2) need not
// write attributes.
Status File::ReserveCounters(int fd, uint64_t greatest) {
  if (greatest <= reserved_) return OkStatus();
  Identity reserved = identity_;
  reserved.counter = greatest + kReservedAhead;
  KEYHOLD_RETURN_IF_ERROR(Renew(fd, reserved));
  if (const int result = context_.posix.FSync(fd); result != 0) return SyncFailed(-result);
  reserved_ = identity_.counter;
  IsSettled(identity_.counter);
  return OkStatus();
}

void File::IsSettled(uint64_t counter) {
  if (counter <= settled_) return;
  settled_ = counter;
  if (counter == identity_.counter) written_ = false;
  if (register_ != nullptr) register_->Raise(identity_.id, 0, counter);
}

File::Lag File::RegisterLag() const {
  const std::shared_lock lock(mutex_);
  if (register_ == nullptr || identity_.counter <= settled_) return Lag::kNone;
  return written_ ? Lag::kWritten : Lag::kFound;
}

Status File::WriteMap(int fd, uint64_t group, const MapEntries& entries, uint64_t counter) {
  ++map_rounds_;
  KEYHOLD_RETURN_IF_ERROR(maps_.Write(fd, group, entries, counter));
  written_maps_[group] = counter;
  return OkStatus();
}

void File::MapsAreDurable() {
  if (register_ != nullptr) {
    for (const auto& [group, counter] : written_maps_) {
      register_->Raise(identity_.id, PartOfMap(group), counter);
    }
  }
  written_maps_.clear();
}

// How far maps will reach: through all groups that have something to seal, but over no gap that is too large.
uint64_t File::MapReach(
    const std::map<uint64_t, std::vector<std::pair<uint64_t, uint64_t>>>& by_group) const {
  uint64_t reach = std::max(identity_.sealed_blocks, mapped_blocks_);
  for (const auto& [group, entries] : by_group) {
    if (group > GroupOf(reach) + kLargestSealedGap) break;
    for (const auto& [block, counter] : entries) reach = std::max(reach, block + 1);
  }
  return reach;
}

Status File::WriteMaps(int fd) {
  std::map<uint64_t, std::vector<std::pair<uint64_t, uint64_t>>> by_group;
  for (const auto& entry : durable_) by_group[GroupOf(entry.first)].push_back(entry);
  const uint64_t counter = context_.counter.Next(floor_);  // greater than those of the blocks
  KEYHOLD_RETURN_IF_ERROR(ReserveCounters(fd, counter));
  const uint64_t mapped = std::max(identity_.sealed_blocks, mapped_blocks_);
  const uint64_t reach = MapReach(by_group);
  for (uint64_t group = GroupOf(mapped); group < GroupOf(reach + kGroupBlocks - 1); ++group) by_group[group];
  for (const auto& [group, sealed] : by_group) {
    if (StartOf(group) >= reach * kPayloadSize && group * kGroupBlocks >= reach) break;
    MapEntries entries{};
    // Entries at or above what is mapped are left over from before a cut, and speak of nothing.
    if (group * kGroupBlocks < mapped) {
      KEYHOLD_ASSIGN_OR_RETURN(entries, maps_.Read(fd, group));
      const uint64_t keep = std::min(kGroupBlocks, mapped - group * kGroupBlocks);
      std::fill(entries.begin() + static_cast<ptrdiff_t>(keep), entries.end(), 0);
    }
    for (const auto& [block, written] : sealed) {
      if (block < reach) entries[IndexInGroup(block)] = written;
    }
    KEYHOLD_RETURN_IF_ERROR(WriteMap(fd, group, entries, counter));
  }
  mapped_blocks_ = reach;
  durable_.clear();
  return OkStatus();
}

// Blocks [first, end) may become holes: their entries are cleared, durably, before they do.
Status File::UnsealRange(int fd, uint64_t first, uint64_t end) {
  const uint64_t sealed_end = std::min(end, std::max(identity_.sealed_blocks, mapped_blocks_));
  if (first >= sealed_end) return OkStatus();
  const uint64_t counter = context_.counter.Next(floor_);
  KEYHOLD_RETURN_IF_ERROR(ReserveCounters(fd, counter));
  std::set<uint64_t> changed;
  for (uint64_t block = first; block < sealed_end;) {
    const uint64_t group = GroupOf(block);
    const uint64_t group_end = std::min(sealed_end, (group + 1) * kGroupBlocks);
    KEYHOLD_ASSIGN_OR_RETURN(MapEntries entries, maps_.Read(fd, group));
    const auto from = entries.begin() + static_cast<ptrdiff_t>(IndexInGroup(block));
    const auto to = from + static_cast<ptrdiff_t>(group_end - block);
    block = group_end;
    const bool cleared = std::all_of(from, to, [](uint64_t entry) { return entry == 0; });
    if (cleared && !doubtful_.contains(group)) continue;
    std::fill(from, to, 0);
    changed.insert(group);
    doubtful_.insert(group);
    KEYHOLD_RETURN_IF_ERROR(WriteMap(fd, group, entries, counter));
  }
  if (changed.empty()) return OkStatus();
  if (const int result = context_.posix.FDataSync(fd); result != 0) return SyncFailed(-result);
  MapsAreDurable();
  for (const uint64_t group : changed) doubtful_.erase(group);
  return OkStatus();
}

}  // namespace keyhold::store
