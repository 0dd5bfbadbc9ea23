#include "store/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <random>

#include "tests/store/store_fixture.h"

namespace keyhold::store {
namespace {

using testing::TempFile;
using testing::TestKeys;

class FileTest : public testing::StoreFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    file_ = *File::Create(context_, backing_.fd(), NewIdentity(context_, InodeKind::kFile));
  }
  void Reopen() {
    auto opened = File::Open(context_, backing_.fd());
    ASSERT_TRUE(opened.ok()) << opened.status();
    file_ = *std::move(opened);
  }
  void Write(uint64_t offset, const std::string& text, Durability durability = Durability::kLazy) {
    const Status status = file_->Write(backing_.fd(), offset, crypto::AsBytes(text), durability);
    ASSERT_TRUE(status.ok()) << status;
  }
  StatusOr<std::string> Read(uint64_t offset, size_t size) {
    std::string out(size, '?');
    const auto got = file_->Read(backing_.fd(), offset, {reinterpret_cast<uint8_t*>(out.data()), size});
    if (!got.ok()) return got.status();
    out.resize(*got);
    return out;
  }
  void SyncAndSeal() {
    ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
    while (file_->HasUnsealed()) ASSERT_TRUE(file_->Seal(backing_.fd()).ok());
  }
  std::string RawSector(uint64_t at) {
    std::string sector(kSectorSize, '\0');
    EXPECT_EQ(pread(backing_.fd(), sector.data(), sector.size(), static_cast<off_t>(at)), kSectorSize);
    return sector;
  }
  void PutRaw(uint64_t at, const std::string& bytes) {
    ASSERT_EQ(pwrite(backing_.fd(), bytes.data(), bytes.size(), static_cast<off_t>(at)), bytes.size());
  }
  void ExpectCorrupt(uint64_t offset, size_t size) {
    EXPECT_EQ(CauseOf(Read(offset, size).status()), Cause::kCorrupt);
  }

  TempFile backing_;
  std::unique_ptr<File> file_;
};

std::string Pattern(size_t size, char first = 'a') {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(first + i % 23);
  return text;
}

TEST_F(FileTest, ReadsWhatWasWrittenAcrossGroupsAndReopening) {
  const std::string text = Pattern(kPayloadSize * (kGroupBlocks + 3) + 17);
  Write(5, text);
  EXPECT_EQ(file_->size(), text.size() + 5);
  Reopen();
  EXPECT_EQ(file_->size(), text.size() + 5);
  EXPECT_EQ(*Read(5, text.size() + 100), text);
  EXPECT_EQ(*Read(0, 5), std::string(5, '\0'));
}

TEST_F(FileTest, NothingOfThePlaintextIsOnTheDisk) {
  Write(0, std::string(100'000, 'Q'));
  for (uint64_t at = 0; at < BackingSize(BlocksFor(100'000)); at += kSectorSize) {
    EXPECT_EQ(RawSector(at).find("QQQQ"), std::string::npos);
  }
}

TEST_F(FileTest, HolesReadAsZeroes) {
  Write(uint64_t{3} << 40, "far");
  Reopen();
  EXPECT_EQ(file_->size(), (uint64_t{3} << 40) + 3);
  EXPECT_EQ(*Read(12345, 4), std::string(4, '\0'));
  EXPECT_EQ(*Read(uint64_t{3} << 40, 10), "far");
}

TEST_F(FileTest, TruncatesToTheByteAndGrowsWithZeroes) {
  Write(0, Pattern(10'000));
  ASSERT_TRUE(file_->Truncate(backing_.fd(), 5'000).ok());
  ASSERT_TRUE(file_->Truncate(backing_.fd(), 9'000).ok());
  Reopen();
  EXPECT_EQ(file_->size(), 9'000U);
  EXPECT_EQ(*Read(0, 5'000), Pattern(10'000).substr(0, 5'000));
  EXPECT_EQ(*Read(5'000, 4'000), std::string(4'000, '\0'));
}

TEST_F(FileTest, EveryFlippedBitOfASectorIsRefused) {
  Write(0, Pattern(100));
  const std::string good = RawSector(DataSectorAt(0));
  for (size_t bit = 0; bit < kSectorSize * 8; bit += bit < 512 || bit > 32000 ? 1 : 97) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    PutRaw(DataSectorAt(0), bad);
    ExpectCorrupt(0, 100);
  }
  PutRaw(DataSectorAt(0), good);
  EXPECT_EQ(*Read(0, 100), Pattern(100));
}

TEST_F(FileTest, BlocksDoNotFitElsewhere) {
  Write(0, Pattern(3 * kPayloadSize));
  const std::string first = RawSector(DataSectorAt(0));
  PutRaw(DataSectorAt(0), RawSector(DataSectorAt(1)));
  ExpectCorrupt(0, 10);
  PutRaw(DataSectorAt(0), first);
  const TempFile other_backing;
  const auto other = *File::Create(context_, other_backing.fd(), NewIdentity(context_, InodeKind::kFile));
  ASSERT_TRUE(
      other->Write(other_backing.fd(), 0, crypto::AsBytes(Pattern(kPayloadSize)), Durability::kLazy).ok());
  std::string foreign(kSectorSize, '\0');
  ASSERT_EQ(pread(other_backing.fd(), foreign.data(), kSectorSize, DataSectorAt(0)), kSectorSize);
  PutRaw(DataSectorAt(0), foreign);
  ExpectCorrupt(0, 10);
}

TEST_F(FileTest, AnErasedSealedBlockIsRefusedAndOthersGoOn) {
  Write(0, Pattern(10 * kPayloadSize));
  SyncAndSeal();
  PutRaw(DataSectorAt(4), std::string(kSectorSize, '\0'));
  Reopen();
  ExpectCorrupt(StartOf(4), 1);
  EXPECT_EQ(*Read(StartOf(5), 7), Pattern(10 * kPayloadSize).substr(StartOf(5), 7));
}

TEST_F(FileTest, AnOlderCopyOfASealedBlockIsRefused) {
  Write(0, Pattern(3 * kPayloadSize));
  SyncAndSeal();
  const std::string old = RawSector(DataSectorAt(1));
  Write(StartOf(1), Pattern(kPayloadSize, 'f'));
  SyncAndSeal();
  PutRaw(DataSectorAt(1), old);
  Reopen();
  ExpectCorrupt(StartOf(1), 1);
}

TEST_F(FileTest, AFileCutShortIsRefused) {
  Write(0, Pattern(10 * kPayloadSize));
  SyncAndSeal();
  ASSERT_EQ(ftruncate(backing_.fd(), static_cast<off_t>(BackingSize(7))), 0);
  EXPECT_EQ(CauseOf(File::Open(context_, backing_.fd()).status()), Cause::kCorrupt);
}

TEST_F(FileTest, AnErasedMapIsRefused) {
  Write(0, Pattern(10 * kPayloadSize));
  SyncAndSeal();
  PutRaw(MapSectorAt(0), std::string(kSectorSize, '\0'));
  EXPECT_EQ(CauseOf(File::Open(context_, backing_.fd()).status()), Cause::kCorrupt);
}

TEST_F(FileTest, CutAndGrownAgainItsHolesAreHoles) {
  Write(0, Pattern(10 * kPayloadSize));
  SyncAndSeal();
  ASSERT_TRUE(file_->Truncate(backing_.fd(), 2 * kPayloadSize).ok());
  Write(20 * kPayloadSize, "end");
  SyncAndSeal();
  Reopen();
  EXPECT_EQ(*Read(StartOf(5), 100), std::string(100, '\0'));
  EXPECT_EQ(*Read(0, 10), Pattern(10));
}

TEST_F(FileTest, PunchedHolesOfSealedBlocksAreZeroes) {
  Write(0, Pattern(10 * kPayloadSize));
  SyncAndSeal();
  ASSERT_TRUE(
      file_->Allocate(backing_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 9 * kPayloadSize).ok());
  Reopen();
  EXPECT_EQ(*Read(0, 100), Pattern(100));
  EXPECT_EQ(*Read(100, 9 * kPayloadSize), std::string(9 * kPayloadSize, '\0'));
  EXPECT_EQ(*file_->Seek(backing_.fd(), StartOf(1), Whence::kData), StartOf(9));
  EXPECT_EQ(*file_->Seek(backing_.fd(), 0, Whence::kHole), StartOf(1));
}

TEST_F(FileTest, NewBlocksAreUnderTheActiveKeyAndOldOnesStayReadable) {
  Write(0, Pattern(2 * kPayloadSize));
  keys_.Add();
  Write(StartOf(1), Pattern(kPayloadSize, 'f'));
  Reopen();
  EXPECT_EQ(*Read(0, kPayloadSize), Pattern(kPayloadSize));
  EXPECT_EQ(*Read(StartOf(1), kPayloadSize), Pattern(kPayloadSize, 'f'));
}

TEST_F(FileTest, WithoutItsKeyNothingOpens) {
  Write(0, "x");
  keys_.Destroy(1);
  EXPECT_EQ(CauseOf(File::Open(context_, backing_.fd()).status()), Cause::kCorrupt);
}

TEST_F(FileTest, RandomOperationsMatchAModel) {
  std::mt19937 random(42);
  std::string model;
  const auto pick = [&](size_t below) { return random() % below; };
  for (int step = 0; step < 3000; ++step) {
    const uint64_t offset = pick(6) == 0 ? pick(3'000'000) : pick(40'000);
    const size_t size = 1 + (pick(10) == 0 ? pick(200'000) : pick(9'000));
    switch (pick(9)) {
      case 0:
      case 1:
      case 2: {
        const std::string text = Pattern(size, static_cast<char>('A' + pick(20)));
        Write(offset, text, pick(4) == 0 ? Durability::kDSync : Durability::kLazy);
        if (model.size() < offset + size) model.resize(offset + size);
        model.replace(offset, size, text);
        break;
      }
      case 3:
        ASSERT_TRUE(file_->Truncate(backing_.fd(), offset).ok());
        model.resize(offset);
        break;
      case 4:
        ASSERT_TRUE(
            file_->Allocate(backing_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size).ok());
        for (size_t i = offset; i < std::min<size_t>(model.size(), offset + size); ++i) model[i] = '\0';
        break;
      case 5:
        SyncAndSeal();
        break;
      case 6:
        ASSERT_TRUE(file_->Sync(backing_.fd(), true).ok());
        ASSERT_TRUE(file_->Seal(backing_.fd()).ok());
        break;
      case 7:
        Reopen();
        break;
      default: {
        const auto got = Read(offset, size);
        ASSERT_TRUE(got.ok()) << step << ": " << got.status();
        ASSERT_EQ(*got, offset < model.size() ? model.substr(offset, size) : "") << step;
      }
    }
    ASSERT_EQ(file_->size(), model.size()) << step;
  }
  Reopen();
  EXPECT_EQ(*Read(0, model.size() + 1), model);
}

}  // namespace
}  // namespace keyhold::store
