// Re-encryption: everything goes over, under traffic, cut off anywhere; only a proof lets keys be destroyed.
#include "store/reencrypt.h"

#include <gmock/gmock.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "store/survey.h"
#include "tests/base/forwarding_posix.h"
#include "tests/store/killed_posix.h"
#include "tests/store/tree_fixture.h"

namespace keyhold::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::UnorderedElementsAre;

const std::string kLong(250, 'l');

std::string Text(size_t size, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  std::string text(size, '\0');
  for (char& byte : text) byte = static_cast<char>('a' + random() % 26);
  return text;
}

class ReencryptTest : public testing::TreeFixture {
 protected:
  // Something of everything, under data key 1.
  void MakeStore() {
    OpenTree();
    Inode* root = tree_->root();
    SyncAndSeal(Make(root, "sealed", Text(600 * kPayloadSize, 1)));
    Make(root, "unsealed", Text(5'000, 2));
    Make(root, "empty", "");
    Inode* hole = Make(root, "hole", "");
    ASSERT_TRUE(tree_->Write(hole, uint64_t{1} << 41, crypto::AsBytes("far"), Durability::kLazy).ok());
    ASSERT_TRUE(tree_->SetAttribute(hole, "user.colour", "blue", 0).ok());
    Inode* folder = tree_->MakeDirectory(root, "folder", 0750, kMe)->inode;
    ASSERT_TRUE(tree_->SetAttribute(folder, "user.shape", "round", 0).ok());
    Make(folder, kLong, "of a long name");
    ASSERT_TRUE(tree_->MakeLink(Find(root, "unsealed"), folder, "second name").ok());
    ASSERT_TRUE(tree_->MakeSymlink(folder, "link", "../sealed", {7, 8}).ok());
  }
  void ExpectStore() {
    Inode* root = tree_->root();
    EXPECT_THAT(NamesIn(root), UnorderedElementsAre("sealed", "unsealed", "empty", "hole", "folder"));
    EXPECT_TRUE(*ReadAll(Find(root, "sealed")) == Text(600 * kPayloadSize, 1));
    EXPECT_EQ(*ReadAll(Find(root, "unsealed")), Text(5'000, 2));
    Inode* hole = Find(root, "hole");
    std::array<uint8_t, 8> far;
    EXPECT_EQ(*tree_->Read(hole, uint64_t{1} << 41, far), 3U);
    EXPECT_EQ(*tree_->GetAttribute(hole, "user.colour"), "blue");
    EXPECT_THAT(*tree_->ListAttributes(hole), ElementsAre("user.colour"));
    Inode* folder = Find(root, "folder");
    EXPECT_EQ(*tree_->GetAttribute(folder, "user.shape"), "round");
    EXPECT_THAT(NamesIn(folder), UnorderedElementsAre(kLong, "second name", "link"));
    EXPECT_EQ(*ReadAll(Find(folder, kLong)), "of a long name");
    EXPECT_EQ(Find(folder, "second name"), Find(root, "unsealed"));
    Inode* link = Find(folder, "link");
    EXPECT_EQ(*tree_->ReadLink(link), "../sealed");
    EXPECT_EQ(tree_->Attributes(link)->st_uid, 7U);
  }
  ReencryptProgress Reencrypt(uint64_t rate = 0) {
    Reencryption reencryption(*tree_, SystemClock());
    EXPECT_TRUE(reencryption.Start({rate, 1}).ok());  // as much of it at a time as can be
    return reencryption.Wait();
  }
};

TEST_F(ReencryptTest, MovesEverythingAndProvesIt) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  EXPECT_THAT(TakeCensus(*tree_, true)->uses, ElementsAre(Key(1)));
  keys_.Add();
  const ReencryptProgress done = Reencrypt();
  ASSERT_EQ(done.state, ReencryptState::kDone) << done.status;
  EXPECT_EQ(done.target, 2U);
  EXPECT_EQ(done.fraction, 1);
  EXPECT_EQ(done.blocks_done, done.blocks_total);
  EXPECT_THAT(done.census.uses, ElementsAre(Key(2)));
  EXPECT_EQ(done.census.files, 5U);
  EXPECT_EQ(done.census.directories, 2U);
  EXPECT_EQ(done.census.links, 1U);
  // 600 blocks, two of "unsealed", one each of "hole" and of the long name.
  EXPECT_EQ(done.census.uses.at(2).blocks, 604U);
  EXPECT_GE(done.census.uses.at(2).maps, 2U);
  ExpectStore();
  keys_.Destroy(1);
  ExpectStore();
  OpenTree();
  ExpectStore();
  EXPECT_EQ(tree_->corrupt_count(), 0U);
  const auto verified = TakeCensus(*tree_, true);
  EXPECT_EQ(verified->damaged, 0U);
  EXPECT_THAT(verified->uses, ElementsAre(Key(2)));
}

TEST_F(ReencryptTest, TimesStay) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  Inode* root = tree_->root();
  Change old;
  old.modified = timespec{1'600'000'000, 7};
  const std::vector<Inode*> all = {root, Find(root, "sealed"), Find(root, "folder"),
                                   Find(Find(root, "folder"), "link")};
  for (Inode* inode : all) ASSERT_TRUE(tree_->SetAttributes(inode, old).ok());
  keys_.Add();
  ASSERT_EQ(Reencrypt().state, ReencryptState::kDone);
  for (Inode* inode : all) {
    const auto st = tree_->Attributes(inode);
    EXPECT_EQ(st->st_mtim.tv_sec, 1'600'000'000) << inode->type;
    EXPECT_EQ(st->st_mtim.tv_nsec, 7) << inode->type;
  }
}

TEST_F(ReencryptTest, EveryBoxIsCountedBeforeItIsSealed) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  tree_->SealAll();
  // What is there was sealed at least once: blocks, maps, a link's target, two attributes.
  const auto count = [&](DataKeyId key) {
    const KeyUse use = TakeCensus(*tree_, false)->uses[key];
    return use.blocks + use.maps + 3;
  };
  EXPECT_GE(keys_.seals(1), count(1));
  keys_.Add();
  ASSERT_EQ(Reencrypt().state, ReencryptState::kDone);
  EXPECT_GE(keys_.seals(2), count(2));
  keys_.Limit(keys_.seals(2));
  Inode* file = Find(tree_->root(), "unsealed");
  EXPECT_EQ(CauseOf(tree_->Write(file, 0, crypto::AsBytes("x"), Durability::kLazy)),
            Cause::kResourceExhausted);
  EXPECT_EQ(CauseOf(tree_->MakeSymlink(tree_->root(), "l", "x", kMe).status()), Cause::kResourceExhausted);
  EXPECT_EQ(CauseOf(tree_->SetAttribute(file, "user.a", "x", 0)), Cause::kResourceExhausted);
  keys_.Limit(UINT64_MAX);
  ExpectStore();
}

TEST_F(ReencryptTest, ASecondRunHasNothingToWrite) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  keys_.Add();
  EXPECT_GT(Reencrypt().blocks_rewritten, 600U);
  const ReencryptProgress again = Reencrypt();
  EXPECT_EQ(again.state, ReencryptState::kDone);
  EXPECT_EQ(again.blocks_rewritten, 0U);
}

TEST_F(ReencryptTest, OldBlocksPutBackAreRefusedAfterwards) {
  OpenTree();
  Inode* file = Make(tree_->root(), "f", Text(3 * kPayloadSize, 1));
  SyncAndSeal(file);
  const auto before = testing::ReadBacking(store_.path());
  keys_.Add();
  ASSERT_EQ(Reencrypt().state, ReencryptState::kDone);
  SyncAndSeal(file);
  tree_.reset();
  for (const auto& [path, backing] : testing::ReadBacking(store_.path())) {
    if (backing.type != 'f' || path == "register") continue;
    const int fd = open((store_.path() + "/" + path).c_str(), O_RDWR);
    const std::string& old = std::find_if(before.begin(), before.end(), [](const auto& entry) {
                               return entry.second.type == 'f' && entry.first != "register";
                             })->second.content;
    ASSERT_EQ(pwrite(fd, &old[DataSectorAt(1)], kSectorSize, static_cast<off_t>(DataSectorAt(1))),
              static_cast<ssize_t>(kSectorSize));
    close(fd);
  }
  OpenTree();
  EXPECT_EQ(CauseOf(ReadAll(Find(tree_->root(), "f")).status()), Cause::kCorrupt);
}

TEST_F(ReencryptTest, ADamagedBlockKeepsTheOldKeys) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  tree_.reset();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_.path())) {
    if (!entry.is_regular_file() || entry.is_symlink() || entry.file_size() / kSectorSize != 602) continue;
    const int fd = open(entry.path().c_str(), O_RDWR);
    ASSERT_EQ(pwrite(fd, "?", 1, static_cast<off_t>(DataSectorAt(9)) + 99), 1);
    close(fd);
  }
  OpenTree();
  const auto census = TakeCensus(*tree_, true);
  EXPECT_EQ(census->damaged, 1U);
  EXPECT_THAT(census->damaged_places, ElementsAre(HasSubstr("block 9 does not authenticate")));
  keys_.Add();
  const ReencryptProgress failed = Reencrypt();
  EXPECT_EQ(failed.state, ReencryptState::kFailed);
  EXPECT_EQ(CauseOf(failed.status), Cause::kCorrupt);
  EXPECT_THAT(std::string(failed.status.message()), HasSubstr("block 9 does not authenticate"));
  EXPECT_LT(failed.fraction, 1);
  EXPECT_GE(failed.census.uses.at(1).blocks, 1U);
}

TEST_F(ReencryptTest, IsThrottledStopsAtOnceAndGoesOn) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  keys_.Add();
  {
    Reencryption slow(*tree_, SystemClock());
    ASSERT_TRUE(slow.Start({2 << 20}).ok());
    EXPECT_EQ(CauseOf(slow.Start({})), Cause::kConflict);
    while (slow.Progress().blocks_done < 100) std::this_thread::yield();
    const ReencryptProgress under_way = slow.Progress();
    EXPECT_EQ(under_way.state, ReencryptState::kRewriting);
    EXPECT_GT(under_way.fraction, 0);
    EXPECT_LT(under_way.fraction, 1);
    EXPECT_LT(under_way.remaining, absl::Minutes(1));
    slow.Stop();
    EXPECT_EQ(slow.Progress().state, ReencryptState::kStopped);
    // Twice 600 blocks of 4 KiB at 2 MiB/s would have taken over two seconds.
    EXPECT_LT(slow.Progress().blocks_done, 600U);
  }
  const auto half = TakeCensus(*tree_, false);
  EXPECT_GT(half->uses.at(1).blocks, 0U);
  EXPECT_GT(half->uses.at(2).blocks, 0U);
  ExpectStore();
  OpenTree();
  ASSERT_EQ(Reencrypt().state, ReencryptState::kDone);
  keys_.Destroy(1);
  ExpectStore();
}

TEST_F(ReencryptTest, WorksAShareOfTheTimeWhileTheStoreIsInUse) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  keys_.Add();
  const ReencryptProgress alone = Reencrypt();
  ASSERT_EQ(alone.state, ReencryptState::kDone);
  EXPECT_EQ(alone.yielded, absl::ZeroDuration());
  keys_.Add();
  std::atomic<bool> ended{false};
  std::thread user([&] {
    Inode* file = Find(tree_->root(), "unsealed");
    std::array<uint8_t, 100> out;
    while (!ended) {
      ASSERT_TRUE(tree_->Read(file, 0, out).ok());
    }
  });
  Reencryption reencryption(*tree_, SystemClock());
  ASSERT_TRUE(reencryption.Start({8 << 20, 0.1}).ok());
  const ReencryptProgress busy = reencryption.Wait();
  ended = true;
  user.join();
  EXPECT_EQ(busy.state, ReencryptState::kDone) << busy.status;
  EXPECT_GT(busy.yielded, absl::ZeroDuration());
}

// Writers, renames between folders and links go on all the while; whatever they do, the proof holds.
TEST_F(ReencryptTest, UnderTraffic) {
  OpenTree();
  Inode* root = tree_->root();
  constexpr int kFiles = 12;
  constexpr size_t kSize = 60 * kPayloadSize;
  std::vector<Inode*> folders;
  for (const char* name : {"a", "b", "c"}) {
    folders.push_back(tree_->MakeDirectory(root, name, 0755, kMe)->inode);
  }
  std::vector<Inode*> files;
  std::vector<std::string> model;
  for (int i = 0; i < kFiles; ++i) {
    model.push_back(Text(kSize, i));
    files.push_back(Make(folders[i % 3], std::to_string(i), model.back()));
  }
  for (int round = 0; round < 6; ++round) {
    keys_.Add();
    std::atomic<bool> ended{false};
    std::thread writer([&] {
      std::mt19937 random(static_cast<unsigned>(round));
      while (!ended) {
        const size_t i = random() % kFiles;
        const size_t offset = random() % (kSize - 9'000);
        const std::string text = Text(1 + random() % 9'000, static_cast<int>(random()));
        ASSERT_TRUE(tree_->Write(files[i], offset, crypto::AsBytes(text), Durability::kLazy).ok());
        model[i].replace(offset, text.size(), text);
        if (random() % 20 == 0) {
          ASSERT_TRUE(tree_->Sync(files[i], true).ok());
        }
        if (random() % 50 == 0) tree_->SealSome(absl::ZeroDuration());
      }
    });
    std::thread mover([&] {
      std::mt19937 random(static_cast<unsigned>(round) + 100);
      while (!ended) {
        const std::string name = std::to_string(random() % kFiles);
        Inode* from = folders[random() % 3];
        (void)tree_->Rename(from, name, folders[random() % 3], name, 0);
        (void)tree_->Rename(from, name, from, "x" + name, 0);
        (void)tree_->Rename(from, "x" + name, from, name, 0);
      }
    });
    const ReencryptProgress done = Reencrypt();
    ended = true;
    writer.join();
    mover.join();
    ASSERT_EQ(done.state, ReencryptState::kDone) << done.status;
    for (const auto& [key, use] : done.census.uses) {
      EXPECT_GE(key, done.target);
    }
    for (keyring::DataKeyId old = 1; old < done.target; ++old) keys_.Destroy(old);
    for (int i = 0; i < kFiles; ++i) ASSERT_TRUE(*ReadAll(files[i]) == model[i]) << "file " << i;
  }
  size_t names = 0;
  for (Inode* folder : folders) names += NamesIn(folder).size();
  EXPECT_EQ(names, static_cast<size_t>(kFiles));
  OpenTree();
  EXPECT_EQ(TakeCensus(*tree_, true)->damaged, 0U);
}

TEST_F(ReencryptTest, AnOpenFileWithoutANameGoesOverToo) {
  OpenTree();
  Inode* file = Make(tree_->root(), "f", Text(20'000, 1));
  tree_->Opened(file);
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "f").ok());
  keys_.Add();
  ASSERT_EQ(Reencrypt().state, ReencryptState::kDone);
  keys_.Destroy(1);
  EXPECT_EQ(*ReadAll(file), Text(20'000, 1));
  tree_->Closed(file);
}

// Notes which files were synced.
class SyncsNoted final : public testing::ForwardingPosix {
 public:
  int FSync(int fd) override {
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) synced.insert(st.st_ino);
    return ForwardingPosix::FSync(fd);
  }
  std::set<ino_t> synced;
};

// A process that was killed may have left in the kernel's cache alone what this one finds to be finished: the
// old keys go only when it is on the disk.
TEST_F(ReencryptTest, WhatIsProvedIsOnTheDisk) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  keys_.Add();
  ASSERT_EQ(Reencrypt().state, ReencryptState::kDone);
  SyncsNoted noted;
  OpenTree({noted, crypto::SystemRandom(), keys_, counter_});
  const ReencryptProgress again = Reencrypt();
  EXPECT_EQ(again.state, ReencryptState::kDone);
  EXPECT_EQ(again.blocks_rewritten, 0U);
  EXPECT_EQ(noted.synced.size(), again.census.files);
  tree_.reset();
}

// Killed again and again after a few changes of the disk: the store is whole each time, and goes on from
// there.
TEST_F(ReencryptTest, KilledAnywhereItGoesOn) {
  ASSERT_NO_FATAL_FAILURE(MakeStore());
  tree_.reset();
  testing::KilledPosix killed;
  const Context dying{killed, crypto::SystemRandom(), keys_, counter_};
  keys_.Add();
  int rounds = 0;
  for (ReencryptState state = ReencryptState::kIdle; state != ReencryptState::kDone; ++rounds) {
    ASSERT_LT(rounds, 500);
    killed.calls = INT_MAX;
    OpenTree(dying);
    killed.calls = rounds % 3;  // what is under way is cut off after ever different numbers of changes
    if (rounds > 450) killed.calls = INT_MAX;
    state = Reencrypt().state;
    killed.calls = INT_MAX;
    OpenTree();
    ASSERT_NO_FATAL_FAILURE(ExpectStore()) << "round " << rounds;
    ASSERT_FALSE(HasFailure()) << "round " << rounds;
  }
  EXPECT_GT(rounds, 20);
  keys_.Destroy(1);
  OpenTree();
  ExpectStore();
}

}  // namespace
}  // namespace keyhold::store
