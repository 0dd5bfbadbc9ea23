// The disk fails in the middle of a write: size() stays true, and each block is old or new.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "store/file.h"
#include "tests/base/forwarding_posix.h"
#include "tests/store/store_fixture.h"

namespace keyhold::store {
namespace {

// Takes `sectors` more sectors, then answers ENOSPC.
class FullDisk final : public testing::ForwardingPosix {
 public:
  ssize_t PWrite(int fd, const void* buffer, size_t size, off_t offset, int flags) override {
    const size_t taken = std::min(size, sectors * kSectorSize);
    if (taken == 0) return -ENOSPC;
    sectors -= taken / kSectorSize;
    return ForwardingPosix::PWrite(fd, buffer, taken, offset, flags);
  }

  size_t sectors = SIZE_MAX / kSectorSize;
};

class FullDisks : public testing::StoreFixture, public ::testing::WithParamInterface<size_t> {
 protected:
  std::string ReadAll(File& file) {
    std::string out(file.size(), '?');
    const auto got = file.Read(backing_.fd(), 0, {reinterpret_cast<uint8_t*>(out.data()), out.size()});
    EXPECT_TRUE(got.ok()) << got.status();
    return out;
  }
  Status Write(File& file, uint64_t offset, const std::string& text) {
    return file.Write(backing_.fd(), offset, crypto::AsBytes(text), Durability::kLazy);
  }

  FullDisk disk_;
  Context full_{disk_, crypto::SystemRandom(), keys_, counter_};
  testing::TempFile backing_;
};

TEST_P(FullDisks, LeaveWholeBlocksAndATrueSize) {
  const size_t taken = GetParam();
  auto file = *File::Create(full_, backing_.fd());
  const std::string old(2 * kPayloadSize + 100, 'o');
  ASSERT_TRUE(Write(*file, 0, old).ok());

  disk_.sectors = taken;
  const std::string fresh(5 * kPayloadSize + 7, 'n');
  EXPECT_EQ(CauseOf(Write(*file, 0, fresh)), Cause::kResourceExhausted);

  // As many blocks are new as the disk took; old ones stand behind them.
  const std::string start = fresh.substr(0, taken * kPayloadSize);
  const std::string expected = start + (start.size() < old.size() ? old.substr(start.size()) : "");
  EXPECT_EQ(file->size(), expected.size());
  EXPECT_EQ(ReadAll(*file), expected);
  auto reopened = File::Open(context_, backing_.fd());
  ASSERT_TRUE(reopened.ok()) << reopened.status();
  EXPECT_EQ(ReadAll(**reopened), expected);

  disk_.sectors = 100;
  ASSERT_TRUE(Write(*file, 0, fresh).ok());
  EXPECT_EQ(ReadAll(*file), fresh);
}

INSTANTIATE_TEST_SUITE_P(AfterSectors, FullDisks, ::testing::Range<size_t>(0, 6));

}  // namespace
}  // namespace keyhold::store
