// Durability, and the maps that follow it. The order that a crash relies on:
//   data durable -> maps written -> maps durable -> the limit in the identity raised;
//   the limit lowered, or entries cleared durably -> blocks taken away.
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

Status File::Sync(int fd, bool data_only) {
  Counters syncing;
  uint64_t cuts = 0;
  uint64_t mapped = 0;
  {
    const std::unique_lock lock(mutex_);
    syncing = std::exchange(pending_, {});
    cuts = cuts_;
    mapped = mapped_blocks_;
  }
  const int result = data_only ? context_.posix.FDataSync(fd) : context_.posix.FSync(fd);
  const std::unique_lock lock(mutex_);
  if (result != 0) {
    for (const auto& [block, counter] : syncing) pending_.try_emplace(block, counter);
    return ErrnoError(-result, "syncing a backing file");
  }
  if (cuts != cuts_) return OkStatus();
  for (const auto& [block, counter] : syncing) {
    uint64_t& last = durable_[block];
    last = std::max(last, counter);
  }
  if (mapped != 0 && mapped == mapped_blocks_) KEYHOLD_RETURN_IF_ERROR(RaiseSealedLimit(fd));
  return durable_.size() > kUnsealedBlocks ? WriteMaps(fd) : OkStatus();
}

bool File::HasUnsealed() const {
  const std::shared_lock lock(mutex_);
  return !durable_.empty() || mapped_blocks_ != 0;
}

void File::Rest() {
  const std::unique_lock lock(mutex_);
  recent_.DropFrom(0);
}

Status File::Seal(int fd) {
  const std::unique_lock lock(mutex_);
  if (mapped_blocks_ != 0) {
    const int result = context_.posix.FDataSync(fd);
    if (result != 0) return ErrnoError(-result, "syncing a backing file");
    KEYHOLD_RETURN_IF_ERROR(RaiseSealedLimit(fd));
  }
  return durable_.empty() ? OkStatus() : WriteMaps(fd);
}

Status File::LowerSealedLimit(int fd, uint64_t blocks) {
  mapped_blocks_ = 0;
  maps_.Drop(GroupOf(blocks));
  if (identity_.sealed_blocks <= blocks) return OkStatus();
  Identity lowered = identity_;
  lowered.sealed_blocks = blocks;
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context_, fd, lowered));
  identity_ = lowered;
  return OkStatus();
}

Status File::RaiseSealedLimit(int fd) {
  Identity raised = identity_;
  raised.sealed_blocks = std::max(identity_.sealed_blocks, std::min(mapped_blocks_, BlocksFor(size_)));
  raised.counter = std::max(identity_.counter, mapped_counter_);
  mapped_blocks_ = 0;
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context_, fd, raised));
  identity_ = raised;
  return OkStatus();
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
    for (const auto& [block, counter] : sealed) {
      if (block < reach) entries[IndexInGroup(block)] = counter;
      mapped_counter_ = std::max(mapped_counter_, counter);
    }
    KEYHOLD_RETURN_IF_ERROR(maps_.Write(fd, group, entries));
  }
  mapped_blocks_ = reach;
  durable_.clear();
  return OkStatus();
}

// Blocks [first, end) may become holes: their entries are cleared, durably, before they do.
Status File::UnsealRange(int fd, uint64_t first, uint64_t end) {
  const uint64_t sealed_end = std::min(end, std::max(identity_.sealed_blocks, mapped_blocks_));
  bool changed = false;
  for (uint64_t block = first; block < sealed_end;) {
    const uint64_t group = GroupOf(block);
    const uint64_t group_end = std::min(sealed_end, (group + 1) * kGroupBlocks);
    KEYHOLD_ASSIGN_OR_RETURN(MapEntries entries, maps_.Read(fd, group));
    for (; block < group_end; ++block) {
      changed = changed || entries[IndexInGroup(block)] != 0;
      entries[IndexInGroup(block)] = 0;
    }
    KEYHOLD_RETURN_IF_ERROR(maps_.Write(fd, group, entries));
  }
  if (!changed) return OkStatus();
  const int result = context_.posix.FDataSync(fd);
  return result == 0 ? OkStatus() : ErrnoError(-result, "syncing a backing file");
}

}  // namespace keyhold::store
