// The disk fails in the middle of a write: size() stays true, and each block is old or new. A sync fails, or
// runs while blocks are taken away: what it proved, and nothing else, is sealed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

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
  auto file = *File::Create(full_, backing_.fd(), NewIdentity(full_, InodeKind::kFile));
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

// Notes syncs, map writes and punches in their order; a sync may be made to fail, or have something happen
// meanwhile.
class WatchedDisk final : public testing::ForwardingPosix {
 public:
  int FDataSync(int) override {
    if (during_sync) std::exchange(during_sync, nullptr)();
    calls.push_back(fail_syncs ? "failed sync" : "sync");
    return fail_syncs ? -EIO : 0;
  }
  int FSync(int fd) override { return FDataSync(fd); }
  int SyncFs(int fd) override { return FDataSync(fd); }
  ssize_t PWrite(int fd, const void* buffer, size_t size, off_t offset, int flags) override {
    if (offset == static_cast<off_t>(MapSectorAt(0))) calls.push_back("map");
    return ForwardingPosix::PWrite(fd, buffer, size, offset, flags);
  }
  int FAllocate(int fd, int mode, off_t offset, off_t size) override {
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) calls.push_back("punch");
    return ForwardingPosix::FAllocate(fd, mode, offset, size);
  }

  bool fail_syncs = false;
  std::function<void()> during_sync;
  std::vector<std::string> calls;
};

class Syncs : public testing::StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    file_ = *File::Create(watched_, backing_.fd(), NewIdentity(watched_, InodeKind::kFile));
    ASSERT_TRUE(
        file_->Write(backing_.fd(), 0, crypto::AsBytes(std::string(8 * kPayloadSize, 'a')), Durability::kLazy)
            .ok());
  }
  Status Punch(uint64_t block) {
    return file_->Allocate(backing_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, StartOf(block),
                           kPayloadSize);
  }
  void SealAll() {
    for (int i = 0; i < 4 && file_->HasUnsealed(); ++i) ASSERT_TRUE(file_->Seal(backing_.fd()).ok());
  }
  // True when `block` is under a map: erased, it is missed.
  bool Sealed(uint64_t block) {
    std::string sector(kSectorSize, '\0');
    EXPECT_EQ(pread(backing_.fd(), sector.data(), kSectorSize, static_cast<off_t>(DataSectorAt(block))),
              kSectorSize);
    const std::string zeroes(kSectorSize, '\0');
    EXPECT_EQ(pwrite(backing_.fd(), zeroes.data(), kSectorSize, static_cast<off_t>(DataSectorAt(block))),
              kSectorSize);
    auto reopened = File::Open(context_, backing_.fd());
    uint8_t byte = 0;
    const bool sealed = !reopened.ok() || !(*reopened)->Read(backing_.fd(), StartOf(block), {&byte, 1}).ok();
    EXPECT_EQ(pwrite(backing_.fd(), sector.data(), kSectorSize, static_cast<off_t>(DataSectorAt(block))),
              kSectorSize);
    return sealed;
  }

  WatchedDisk disk_;
  Context watched_{disk_, crypto::SystemRandom(), keys_, counter_};
  testing::TempFile backing_;
  std::unique_ptr<File> file_;
};

TEST_F(Syncs, APunchThatIsTriedAgainClearsItsEntryDurablyFirst) {
  ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
  SealAll();
  disk_.fail_syncs = true;
  EXPECT_EQ(ErrnoOf(Punch(3)), EIO);
  disk_.fail_syncs = false;
  disk_.calls.clear();
  ASSERT_TRUE(Punch(3).ok());
  EXPECT_THAT(disk_.calls, ::testing::ElementsAre("map", "sync", "punch"));
  disk_.calls.clear();
  ASSERT_TRUE(Punch(3).ok());
  EXPECT_THAT(disk_.calls, ::testing::ElementsAre("punch"));
}

TEST_F(Syncs, BlocksWhoseSyncOverlapsAPunchOrACutAreSealed) {
  disk_.during_sync = [&] { ASSERT_TRUE(Punch(3).ok()); };
  ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
  SealAll();
  EXPECT_TRUE(Sealed(2));
  EXPECT_FALSE(Sealed(3));
  EXPECT_TRUE(Sealed(4));

  ASSERT_TRUE(file_
                  ->Write(backing_.fd(), StartOf(8), crypto::AsBytes(std::string(4 * kPayloadSize, 'b')),
                          Durability::kLazy)
                  .ok());
  disk_.during_sync = [&] { ASSERT_TRUE(file_->Truncate(backing_.fd(), StartOf(10)).ok()); };
  ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
  SealAll();
  EXPECT_EQ(file_->size(), StartOf(10));
  EXPECT_TRUE(Sealed(8));
  EXPECT_TRUE(Sealed(9));
}

// After a failed sync the kernel takes the pages for clean: a later sync that works does not write them.
TEST_F(Syncs, WhatAFailedSyncLeftInDoubtIsNotSealed) {
  disk_.fail_syncs = true;
  EXPECT_EQ(ErrnoOf(file_->Sync(backing_.fd(), true)), EIO);
  disk_.fail_syncs = false;
  ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
  SealAll();
  EXPECT_FALSE(Sealed(2));
  ASSERT_TRUE(
      file_->Write(backing_.fd(), 0, crypto::AsBytes(std::string(8 * kPayloadSize, 'c')), Durability::kDSync)
          .ok());
  SealAll();
  EXPECT_TRUE(Sealed(2));
}

// Maps that a failed sync left in doubt are not relied upon either.
TEST_F(Syncs, TheLimitDoesNotRiseOverMapsThatAFailedSyncMayHaveLost) {
  ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
  ASSERT_TRUE(file_->Seal(backing_.fd()).ok());
  disk_.fail_syncs = true;
  EXPECT_EQ(ErrnoOf(file_->Seal(backing_.fd())), EIO);
  disk_.fail_syncs = false;
  ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
  EXPECT_EQ(ReadIdentity(context_, backing_.fd(), InodeKind::kFile)->sealed_blocks, 0U);
}

TEST_F(Syncs, CountersAreReservedDurablyBeforeAMapSpeaksOfThem) {
  ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
  disk_.fail_syncs = true;
  disk_.calls.clear();
  EXPECT_EQ(ErrnoOf(file_->Seal(backing_.fd())), EIO);
  EXPECT_THAT(disk_.calls, ::testing::ElementsAre("failed sync"));
  disk_.fail_syncs = false;
  disk_.calls.clear();
  ASSERT_TRUE(file_->Seal(backing_.fd()).ok());
  EXPECT_THAT(disk_.calls, ::testing::ElementsAre("sync", "map"));
  EXPECT_GT(ReadIdentity(context_, backing_.fd(), InodeKind::kFile)->counter,
            static_cast<uint64_t>(absl::ToUnixMicros(absl::Now())));
}

}  // namespace
}  // namespace keyhold::store
