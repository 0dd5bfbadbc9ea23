// Where the blocks of a file stand in its backing file: arithmetic alone, no I/O. Format:
// docs/formats/store.md.
//
// A backing file is a row of groups; a group is one map sector and up to kGroupBlocks data sectors. Every
// sector is one aligned 4096 byte block of the disk.
#pragma once

#include <cstddef>
#include <cstdint>

namespace keyhold::store {

inline constexpr size_t kSectorSize = 4096;
inline constexpr size_t kHeaderSize = 32;
inline constexpr size_t kTagSize = 16;
inline constexpr size_t kPayloadSize =
    kSectorSize - kHeaderSize - kTagSize;  // 4048: plaintext bytes of a block
inline constexpr size_t kMapEntrySize = 8;
inline constexpr uint64_t kGroupBlocks = kPayloadSize / kMapEntrySize;  // 506
inline constexpr uint64_t kGroupSectors = kGroupBlocks + 1;
inline constexpr uint64_t kMaxFileSize = uint64_t{1} << 60;

static_assert(kPayloadSize == 4048 && kGroupBlocks == 506);

constexpr uint64_t BlockOf(uint64_t offset) { return offset / kPayloadSize; }
constexpr size_t OffsetInBlock(uint64_t offset) { return offset % kPayloadSize; }
constexpr uint64_t StartOf(uint64_t block) { return block * kPayloadSize; }

// How many blocks a file of `size` bytes has.
constexpr uint64_t BlocksFor(uint64_t size) {
  return size / kPayloadSize + (size % kPayloadSize != 0 ? 1 : 0);
}

constexpr uint64_t GroupOf(uint64_t block) { return block / kGroupBlocks; }
constexpr uint64_t IndexInGroup(uint64_t block) { return block % kGroupBlocks; }

// Byte offsets in the backing file.
constexpr uint64_t MapSectorAt(uint64_t group) { return group * kGroupSectors * kSectorSize; }
constexpr uint64_t DataSectorAt(uint64_t block) {
  return MapSectorAt(GroupOf(block)) + (1 + IndexInGroup(block)) * kSectorSize;
}

// The size of a backing file of `blocks` blocks, and the inverse, rounded down.
constexpr uint64_t BackingSize(uint64_t blocks) {
  return blocks == 0 ? 0 : DataSectorAt(blocks - 1) + kSectorSize;
}
constexpr uint64_t BlocksIn(uint64_t backing_size) {
  const uint64_t sectors = backing_size / kSectorSize;
  const uint64_t rest = sectors % kGroupSectors;
  return sectors / kGroupSectors * kGroupBlocks + (rest == 0 ? 0 : rest - 1);
}

}  // namespace keyhold::store
