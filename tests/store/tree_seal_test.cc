// What no program syncs is durable and sealed all the same, and what is settled and idle goes from memory.
#include <filesystem>

#include "tests/base/fake_clock.h"
#include "tests/store/register_fixture.h"

namespace keyhold::store {
namespace {

using testing::Text;

constexpr absl::Duration kPatience = absl::Minutes(1);

class CountedSyncs final : public testing::ForwardingPosix {
 public:
  int FSync(int fd) override {
    ++of_files;
    return ForwardingPosix::FSync(fd);
  }
  int FDataSync(int fd) override {
    ++of_files;
    return ForwardingPosix::FDataSync(fd);
  }
  int SyncFs(int fd) override {
    ++at_once;
    return failing ? -EIO : ForwardingPosix::SyncFs(fd);
  }
  ssize_t FGetXAttr(int fd, const char* name, void* value, size_t size) override {
    ++identities;
    return ForwardingPosix::FGetXAttr(fd, name, value, size);
  }
  bool failing = false;
  int of_files = 0;
  int at_once = 0;
  int identities = 0;
};

class TreeSeal : public testing::RegisterFixture {
 protected:
  void SetUp() override {
    StoreFixture::SetUp();
    OpenTree(watched_);
  }
  // All that a mount does in `minutes`.
  void Pass(int minutes) {
    for (int i = 0; i < minutes; ++i) {
      clock_.Advance(absl::Minutes(1));
      tree_->SealSome(kPatience);
      ASSERT_TRUE(tree_->Record().ok());
    }
  }
  // Zeroes block `block` of a file below the root, as one who has the disk can.
  void Zero(const std::string& name, uint64_t block) {
    const int fd = open((store_.path() + "/" + PathOf(name)).c_str(), O_RDWR | O_CLOEXEC);
    const std::string nothing(kSectorSize, '\0');
    ASSERT_EQ(pwrite(fd, nothing.data(), nothing.size(), static_cast<off_t>(DataSectorAt(block))),
              static_cast<ssize_t>(kSectorSize));
    close(fd);
  }
  // Where it is not mounted: what was zeroed while it was not is noticed.
  void ExpectSealed(const std::vector<std::string>& names) {
    tree_.reset();
    for (const std::string& name : names) Zero(name, 1);
    OpenTree();
    for (const std::string& name : names) {
      EXPECT_EQ(CauseOf(ReadAll(Find(tree_->root(), name)).status()), Cause::kCorrupt) << name;
    }
  }
  std::vector<std::string> MakeMany(int count) {
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
      names.push_back(std::to_string(i));
      inodes_.push_back(Make(tree_->root(), names.back(), Text(2, 'a') + "end"));
    }
    return names;
  }

  testing::FakeClock clock_;
  WriteCounter fake_counter_{clock_};
  CountedSyncs posix_;
  Context watched_{posix_, crypto::SystemRandom(), keys_, fake_counter_};
  std::vector<Inode*> inodes_;
};

TEST_F(TreeSeal, WhatNobodySyncsIsSealedAtACleanEnd) {
  const auto names = MakeMany(3);
  ASSERT_TRUE(tree_->Close().ok());
  ExpectSealed(names);
}

TEST_F(TreeSeal, WhatNobodySyncsIsSealedInTime) {
  const auto names = MakeMany(3);
  Pass(4);
  tree_->Abandon();  // as a process that is killed
  ExpectSealed(names);
}

TEST_F(TreeSeal, WhatWasJustWrittenIsLeftAlone) {
  MakeMany(3);
  const int before = posix_.of_files;
  clock_.Advance(absl::Seconds(59));
  tree_->SealSome(kPatience);
  EXPECT_EQ(posix_.of_files, before);
  clock_.Advance(absl::Seconds(2));
  tree_->SealSome(kPatience);
  EXPECT_EQ(posix_.of_files, before + 3) << "few are synced one by one";
  EXPECT_EQ(posix_.at_once, 0);
}

TEST_F(TreeSeal, ManyAreSyncedAtOnce) {
  const auto names = MakeMany(300);
  const int before = posix_.of_files;
  tree_->SealAll();
  EXPECT_EQ(posix_.of_files, before);
  EXPECT_LE(posix_.at_once, 3);
  ASSERT_TRUE(tree_->Close().ok());
  ExpectSealed(names);
}

TEST_F(TreeSeal, AFailedSyncOfManyProvesNothing) {
  MakeMany(300);
  posix_.failing = true;
  tree_->SealAll();
  posix_.failing = false;
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  Zero("7", 1);
  OpenTree();
  const auto read = ReadAll(Find(tree_->root(), "7"));
  ASSERT_TRUE(read.ok()) << "it may never have been on the disk: " << read.status();
  EXPECT_EQ(ReadAll(Find(tree_->root(), "8")).value(), Text(2, 'a') + "end");
}

TEST_F(TreeSeal, WhatTheKernelForgotIsSealedAllTheSame) {
  const auto names = MakeMany(10);
  for (Inode* inode : inodes_) tree_->Forget(inode, 1);
  Pass(4);
  tree_->Abandon();
  ExpectSealed(names);
}

TEST_F(TreeSeal, AForgottenFileThatIsRemovedGoesAtOnce) {
  MakeMany(1);
  tree_->Forget(inodes_[0], 1);
  ASSERT_TRUE(tree_->Lookup(tree_->root(), "0").ok());
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "0").ok());
  tree_->Forget(inodes_[0], 1);
  // Nobody holds the backing inode any more: its descriptors are closed.
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry, gone).string();
    EXPECT_FALSE(target.starts_with(store_.path()) && target.ends_with("(deleted)")) << target;
  }
}

TEST_F(TreeSeal, IdleFilesGoFromMemoryAndComeBack) {
  MakeMany(3);
  tree_->Opened(inodes_[0]);
  Pass(4);
  const int before = posix_.identities;
  EXPECT_EQ(ReadAll(inodes_[0]).value(), Text(2, 'a') + "end");
  EXPECT_GT(posix_.identities, before) << "it was read again";
  const int after = posix_.identities;
  EXPECT_TRUE(ReadAll(inodes_[0]).ok());
  EXPECT_EQ(posix_.identities, after) << "it is in memory now";
}

TEST_F(TreeSeal, TimesStay) {
  MakeMany(10);
  Change old;
  old.accessed = timespec{1'600'000'000, 5};
  old.modified = timespec{1'600'000'000, 7};
  ASSERT_TRUE(tree_->SetAttributes(inodes_[0], old).ok());
  const auto made = tree_->Attributes(inodes_[1]);
  Pass(4);
  const auto kept = tree_->Attributes(inodes_[0]);
  EXPECT_EQ(kept->st_atim.tv_nsec, 5);
  EXPECT_EQ(kept->st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(kept->st_mtim.tv_nsec, 7);
  EXPECT_EQ(tree_->Attributes(inodes_[1])->st_mtim.tv_nsec, made->st_mtim.tv_nsec);
}

// Its line in the register is gone by then.
TEST_F(TreeSeal, AnIdleFileThatLosesItsNameGoesOn) {
  MakeMany(1);
  tree_->Opened(inodes_[0]);
  Pass(4);
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "0").ok());
  Pass(4);
  EXPECT_EQ(ReadAll(inodes_[0]).value(), Text(2, 'a') + "end");
  ASSERT_TRUE(tree_->Write(inodes_[0], 0, crypto::AsBytes("new"), Durability::kLazy).ok());
  Pass(4);
  EXPECT_EQ(ReadAll(inodes_[0]).value().substr(0, 3), "new");
}

}  // namespace
}  // namespace keyhold::store
