// Random work on one file, a crash at a random point with any allowed loss, and what must hold afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <set>

#include "store/file.h"
#include "tests/base/fake_clock.h"
#include "tests/store/forgetful_posix.h"
#include "tests/store/store_fixture.h"

namespace keyhold::store {
namespace {

using testing::DiskImage;
using testing::ForgetfulPosix;
using testing::TempFile;

constexpr uint64_t kBlocks = 24;
constexpr uint64_t kFar = kGroupBlocks - 8;  // blocks [kFar, kFar + kBlocks): across two groups

// A block's content; all bytes of a block are equal, so one byte tells which write it is from.
using Block = std::string;

class Crashes : public testing::StoreFixture, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    auto file = File::Create(forgetful_, disk_.fd(), NewIdentity(forgetful_, InodeKind::kFile));
    ASSERT_TRUE(file.ok()) << file.status();
    file_ = *std::move(file);
    ASSERT_TRUE(file_->Sync(disk_.fd(), false).ok());
  }

  uint64_t Pick(uint64_t below) { return random_() % below; }

  // Block `block` may now hold `content`, or still what it may have held.
  void May(uint64_t block, Block content, bool durable) {
    if (durable) may_[block].clear();
    may_[block].insert(content);
    now_[block] = std::move(content);
  }

  void Write() {
    const uint64_t first = kFar + Pick(kBlocks);
    const uint64_t count = 1 + Pick(3);
    const bool durable = Pick(4) == 0;
    const Block content(kPayloadSize, static_cast<char>('A' + writes_++ % 50));
    std::string text;
    for (uint64_t i = 0; i < count; ++i) text += content;
    const Status status = file_->Write(disk_.fd(), StartOf(first), crypto::AsBytes(text),
                                       durable ? Durability::kDSync : Durability::kLazy);
    ASSERT_TRUE(status.ok()) << status;
    for (uint64_t i = 0; i < count; ++i) May(first + i, content, durable);
  }
  void Punch() {
    const uint64_t first = kFar + Pick(kBlocks);
    const Status status =
        file_->Allocate(disk_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, StartOf(first), kPayloadSize);
    ASSERT_TRUE(status.ok()) << status;
    if (StartOf(first) < file_->size()) May(first, Block(kPayloadSize, '\0'), false);
  }
  void Cut() {
    const uint64_t blocks = kFar + Pick(kBlocks);
    if (StartOf(blocks) >= file_->size()) return;
    const Status status = file_->Truncate(disk_.fd(), StartOf(blocks));
    ASSERT_TRUE(status.ok()) << status;
    for (uint64_t block = blocks; block < kFar + kBlocks + 3; ++block) {
      May(block, Block(kPayloadSize, '\0'), false);
    }
  }
  void Sync() {
    ASSERT_TRUE(file_->Sync(disk_.fd(), Pick(2) == 0).ok());
    for (const auto& [block, content] : now_) may_[block] = {content};
  }
  void Seal() {
    const Status status = file_->Seal(disk_.fd());
    ASSERT_TRUE(status.ok()) << status;
  }
  void SyncWithOthers() {
    const auto syncing = file_->BeginSync(disk_.fd());
    if (Pick(2) == 0) Write();
    if (Pick(4) == 0) Seal();
    const std::map<uint64_t, Block> before = now_;
    ASSERT_TRUE(file_->EndSync(disk_.fd(), syncing, forgetful_posix_.SyncFs(disk_.fd())).ok());
    for (const auto& [block, content] : before) may_[block] = {content};
  }
  void Step() {
    clock_.Advance(absl::Milliseconds(Pick(100'000)));
    switch (Pick(9)) {
      case 0:
        return Sync();
      case 8:
        return SyncWithOthers();
      case 1:
      case 2:
        return Seal();
      case 3:
        return Punch();
      case 4:
        return Cut();
      default:
        return Write();
    }
  }

  static void Put(const DiskImage& image, int fd) {
    ASSERT_EQ(ftruncate(fd, static_cast<off_t>(image.size)), 0);
    for (const auto& [sector, bytes] : image.sectors) {
      ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(sector * kSectorSize)),
                static_cast<ssize_t>(bytes.size()));
    }
    ASSERT_EQ(fsetxattr(fd, kIdentityAttribute, image.attribute.data(), image.attribute.size(), 0), 0);
  }
  Block ReadBlock(File& file, int fd, uint64_t block) {
    Block out(kPayloadSize, '\0');  // behind the end of the file there are zeroes
    const auto got = file.Read(fd, StartOf(block), {reinterpret_cast<uint8_t*>(out.data()), kPayloadSize});
    EXPECT_TRUE(got.ok()) << "block " << block << ": " << got.status();
    return out;
  }

  // Opens what a crash left, holds it against what may be there, and goes on working with it, also where the
  // clock was set back meanwhile.
  void CrashAndLook() {
    const TempFile after;
    ASSERT_NO_FATAL_FAILURE(Put(forgetful_posix_.Crash(random_), after.fd()));
    ForgetfulPosix quick;
    const testing::FakeClock clock(clock_.Now() - absl::Minutes(Pick(200)));
    WriteCounter counter(clock);
    const Context context{quick, crypto::SystemRandom(), keys_, counter};
    auto opened = File::Open(context, after.fd());
    ASSERT_TRUE(opened.ok()) << opened.status();
    File& file = **opened;
    for (const auto& [block, contents] : may_) {
      const Block found = ReadBlock(file, after.fd(), block);
      EXPECT_TRUE(contents.contains(found)) << "block " << block << " holds '" << found[0] << "'";
    }
    const Block fresh(kPayloadSize, '!');
    const uint64_t block = kFar + Pick(kBlocks);
    ASSERT_TRUE(file.Write(after.fd(), StartOf(block), crypto::AsBytes(fresh), Durability::kLazy).ok());
    EXPECT_TRUE(ReadBlock(file, after.fd(), block) == fresh);
    ASSERT_TRUE(file.Sync(after.fd(), true).ok());
    for (int i = 0; i < 4 && file.HasUnsealed(); ++i) ASSERT_TRUE(file.Seal(after.fd()).ok());
    EXPECT_FALSE(file.HasUnsealed());
    auto again = File::Open(context, after.fd());
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(ReadBlock(**again, after.fd(), block) == fresh);
  }

  std::mt19937_64 random_{static_cast<uint64_t>(GetParam())};
  ForgetfulPosix forgetful_posix_;
  testing::FakeClock clock_;
  WriteCounter counter_{clock_};
  Context forgetful_{forgetful_posix_, crypto::SystemRandom(), keys_, counter_};
  const TempFile disk_;
  std::unique_ptr<File> file_;
  std::map<uint64_t, Block> now_;
  std::map<uint64_t, std::set<Block>> may_;
  uint64_t writes_ = 0;
};

TEST_P(Crashes, LeaveEveryBlockOldOrNewAndNoneUnreadable) {
  for (uint64_t block = kFar; block < kFar + kBlocks + 3; ++block) {
    May(block, Block(kPayloadSize, '\0'), true);
  }
  for (int step = 0; step < 40; ++step) {
    ASSERT_NO_FATAL_FAILURE(Step()) << "step " << step;
    ASSERT_NO_FATAL_FAILURE(CrashAndLook()) << "step " << step;
    if (HasFailure()) FAIL() << "seed " << GetParam() << ", step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Crashes, ::testing::Range(1, 31));

}  // namespace
}  // namespace keyhold::store
