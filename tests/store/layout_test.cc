#include "store/layout.h"

#include <gtest/gtest.h>

namespace keyhold::store {
namespace {

TEST(Layout, BlocksAndSectorsAreInverse) {
  uint64_t expected_sector = 0;
  for (uint64_t block = 0; block < 5 * kGroupBlocks; ++block) {
    if (block % kGroupBlocks == 0) {
      EXPECT_EQ(MapSectorAt(GroupOf(block)), expected_sector++ * kSectorSize);
    }
    EXPECT_EQ(DataSectorAt(block), expected_sector++ * kSectorSize);
    EXPECT_EQ(BackingSize(block + 1), expected_sector * kSectorSize);
    EXPECT_EQ(BlocksIn(BackingSize(block + 1)), block + 1);
    EXPECT_EQ(BlocksIn(BackingSize(block + 1) + kSectorSize - 1), block + 1);
  }
  EXPECT_EQ(BackingSize(0), 0U);
  EXPECT_EQ(BlocksIn(kSectorSize), 0U);
}

TEST(Layout, OffsetsSplitIntoBlockAndRest) {
  for (uint64_t offset = 0; offset < 4 * kPayloadSize; ++offset) {
    EXPECT_EQ(StartOf(BlockOf(offset)) + OffsetInBlock(offset), offset);
    EXPECT_EQ(BlocksFor(offset), offset == 0 ? 0 : BlockOf(offset - 1) + 1);
  }
}

}  // namespace
}  // namespace keyhold::store
