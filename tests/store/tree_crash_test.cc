// Random work on a whole store, a crash at every point with any allowed loss, several crashes in a row: what
// is honest is never refused.
#include <gmock/gmock.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include <random>

#include "store/reencrypt.h"
#include "tests/base/fake_clock.h"
#include "tests/store/forgetful_tree.h"
#include "tests/store/tree_fixture.h"

namespace keyhold::store {
namespace {

using testing::ForgetfulTree;
using testing::TempStore;

constexpr Owner kMe{0, 0};
constexpr int kOpenings = 3;
constexpr int kSteps = 30;

// A store at work on a disk that forgets.
class Work {
 public:
  Work(const std::string& store, const keyring::DataKeySource& keys, absl::Time now, std::mt19937_64& random)
      : posix_(store),
        dir_(open(store.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
        clock_(now),
        random_(random) {
    auto tree = Tree::Open({posix_, crypto::SystemRandom(), keys, counter_}, dir_, 8);
    EXPECT_TRUE(tree.ok()) << tree.status();
    if (tree.ok()) tree_ = *std::move(tree);
  }
  ~Work() {
    tree_.reset();
    close(dir_);
  }

  Tree& tree() { return *tree_; }
  ForgetfulTree& disk() { return posix_; }
  absl::Time now() const { return clock_.Now(); }

  void Step() {
    clock_.Advance(absl::Milliseconds(Pick(200'000)));
    switch (Pick(20)) {
      case 0:
        return Pick(2) == 0 ? tree_->SealAll() : tree_->SealSome(absl::Minutes(Pick(3)));
      case 1:
      case 2:
        return Check(tree_->Record());
      case 3:
        return Check(tree_->NextGeneration(0));
      case 4:
        return WithFile([&](Inode* file) { return tree_->Sync(file, true); });
      case 5:
      case 6:
        return WithFile([&](Inode* file) { return tree_->Sync(file, false); });
      case 7:
        return Check(tree_->Sync(Folder(), false));
      case 8:
        return WithFile([&](Inode* file) { return Cut(file); });
      case 9:
        return WithFile([&](Inode* file) { return Punch(file); });
      case 10:
        return Link();
      case 11:
      case 12:
        return Move();
      case 13:
      case 14:
        return May(tree_->Unlink(Folder(), Name()), {ENOENT, EISDIR});
      case 15:
        return UseUnlinked();
      case 16:
        return May(tree_->RemoveDirectory(tree_->root(), FolderName()), {ENOENT, ENOTDIR, ENOTEMPTY});
      default:
        return WithFile([&](Inode* file) { return Scribble(file); });
    }
  }

  // Every file is there to be read, whole.
  void Walk(Inode* directory) {
    const auto listed = tree_->List(directory);
    ASSERT_TRUE(listed.ok()) << listed.status();
    for (const Listed& entry : *listed) {
      const auto found = tree_->Lookup(directory, entry.name);
      ASSERT_TRUE(found.ok()) << entry.name << ": " << found.status();
      if (S_ISDIR(found->st.st_mode)) {
        Walk(found->inode);
      } else {
        std::vector<uint8_t> all(static_cast<size_t>(found->st.st_size));
        EXPECT_TRUE(tree_->Read(found->inode, 0, all).ok()) << entry.name;
      }
      tree_->Forget(found->inode, 1);
    }
  }

 private:
  uint64_t Pick(uint64_t below) { return random_() % below; }
  std::string Name() { return "file" + std::to_string(Pick(4)); }
  std::string FolderName() { return "folder" + std::to_string(Pick(2)); }
  static void Check(const Status& status) { ASSERT_TRUE(status.ok()) << status; }
  static void May(const Status& status, const std::set<int>& errors) {
    ASSERT_TRUE(status.ok() || errors.contains(ErrnoOf(status))) << status;
  }

  // The root, or a folder, which is made where it is not there. Its lookup is kept for one step.
  Inode* Folder() {
    if (Pick(3) == 0) return tree_->root();
    const std::string name = FolderName();
    auto entry = tree_->Lookup(tree_->root(), name);
    if (!entry.ok()) entry = tree_->MakeDirectory(tree_->root(), name, 0755, kMe);
    EXPECT_TRUE(entry.ok()) << entry.status();
    return entry->inode;
  }
  template <typename Do>
  void WithFile(const Do& work) {
    Inode* folder = Folder();
    const std::string name = Name();
    auto entry = tree_->Lookup(folder, name);
    if (!entry.ok()) entry = tree_->MakeFile(folder, name, 0644, kMe);
    ASSERT_TRUE(entry.ok()) << name << ": " << entry.status();
    Check(work(entry->inode));
    tree_->Forget(entry->inode, 1);  // mostly the last
  }
  Status Scribble(Inode* file) {
    const std::string text((1 + Pick(3)) * kPayloadSize - Pick(2) * 100, static_cast<char>('a' + Pick(26)));
    const uint64_t block = Pick(4) == 0 ? kGroupBlocks - 2 + Pick(4) : Pick(6);
    return tree_->Write(file, StartOf(block), crypto::AsBytes(text),
                        Pick(4) == 0 ? Durability::kDSync : Durability::kLazy);
  }
  Status Cut(Inode* file) {
    Change change;
    change.size = Pick(2) == 0 ? 0 : Pick(8 * kPayloadSize);
    return tree_->SetAttributes(file, change).status();
  }
  Status Punch(Inode* file) {
    return tree_->Allocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, StartOf(Pick(5)),
                           2 * kPayloadSize);
  }
  void Link() {
    WithFile([&](Inode* file) {
      May(tree_->MakeLink(file, Folder(), Name()).status(), {EEXIST});
      return OkStatus();
    });
  }
  void Move() {
    if (Pick(6) == 0) {
      return May(tree_->Rename(tree_->root(), FolderName(), tree_->root(), FolderName(), 0),
                 {ENOENT, ENOTEMPTY, EEXIST});
    }
    const unsigned flags = Pick(6) == 0 ? RENAME_EXCHANGE : Pick(6) == 0 ? RENAME_NOREPLACE : 0;
    May(tree_->Rename(Folder(), Name(), Folder(), Name(), flags), {ENOENT, EEXIST});
  }
  // Written, synced and sealed after its last name is gone.
  void UseUnlinked() {
    Inode* folder = Folder();
    const auto entry = tree_->Lookup(folder, Name());
    if (!entry.ok()) return;
    (void)tree_->Unlink(folder, Name());
    Check(Scribble(entry->inode));
    Check(tree_->Sync(entry->inode, false));
    tree_->SealAll();
    Check(tree_->Record());
    tree_->Forget(entry->inode, 1);
  }

  ForgetfulTree posix_;
  const int dir_;
  testing::FakeClock clock_;
  WriteCounter counter_{clock_};
  std::mt19937_64& random_;
  std::unique_ptr<Tree> tree_;
};

class TreeCrashes : public testing::StoreFixture, public ::testing::WithParamInterface<int> {
 protected:
  // Opens what a crash left, also where the clock was set back meanwhile, goes on with it to a clean end, and
  // opens that.
  void Look(const testing::TreeImage& image, absl::Time now) {
    const TempStore after;
    ASSERT_NO_FATAL_FAILURE(ForgetfulTree::Put(image, after.path()));
    for (int opening = 0; opening < 2; ++opening) {
      Work work(after.path(), keys_, now - absl::Minutes(random_() % 200), random_);
      if (HasFailure()) return;
      ASSERT_NO_FATAL_FAILURE(work.Walk(work.tree().root()));
      const auto census = TakeCensus(work.tree(), true);
      ASSERT_TRUE(census.ok()) << census.status();
      EXPECT_EQ(census->damaged, 0U) << ::testing::PrintToString(census->damaged_places);
      for (int step = 0; step < 4; ++step) ASSERT_NO_FATAL_FAILURE(work.Step());
      ASSERT_NO_FATAL_FAILURE(work.Walk(work.tree().root()));
      EXPECT_EQ(work.tree().corrupt_count(), 0U);
      ASSERT_TRUE(work.tree().Close().ok());
    }
  }

  std::mt19937_64 random_{static_cast<uint64_t>(GetParam())};
};

TEST_P(TreeCrashes, NeverMakeAnHonestFileAnOlderCopy) {
  testing::TreeImage image;
  image[0].type = 'd';
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  for (int opening = 0; opening < kOpenings; ++opening) {
    const TempStore disk;
    ASSERT_NO_FATAL_FAILURE(ForgetfulTree::Put(image, disk.path()));
    Work work(disk.path(), keys_, now, random_);
    ASSERT_FALSE(HasFailure());
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_NO_FATAL_FAILURE(work.Step()) << "step " << step;
      image = work.disk().Crash(random_);
      ASSERT_NO_FATAL_FAILURE(Look(image, work.now())) << "step " << step;
      if (HasFailure()) FAIL() << "seed " << GetParam() << ", opening " << opening << ", step " << step;
    }
    now = work.now() - absl::Minutes(random_() % 30);
  }
}

// A map is written and not yet synced, nothing else of the file waits for a sync, and the register is written
// for the sake of another file: the random work above hardly ever comes by here.
TEST_P(TreeCrashes, NeverLeaveAMapOlderThanItsLine) {
  testing::TreeImage image;
  image[0].type = 'd';
  const TempStore disk;
  ASSERT_NO_FATAL_FAILURE(ForgetfulTree::Put(image, disk.path()));
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  Work work(disk.path(), keys_, now, random_);
  const auto file = work.tree().MakeFile(work.tree().root(), "file", 0644, kMe);
  ASSERT_TRUE(file.ok()) << file.status();
  for (const char letter : {'a', 'b'}) {
    const std::string text(3 * kPayloadSize, letter);
    ASSERT_TRUE(work.tree().Write(file->inode, 0, crypto::AsBytes(text), Durability::kLazy).ok());
    ASSERT_TRUE(work.tree().Sync(file->inode, false).ok());
    if (letter == 'a') work.tree().SealAll();
    ASSERT_TRUE(work.tree().Record().ok());
  }
  work.tree().SealSome(absl::ZeroDuration());  // writes the map
  ASSERT_TRUE(work.tree().MakeFile(work.tree().root(), "other", 0644, kMe).ok());
  ASSERT_TRUE(work.tree().Record().ok());
  image = work.disk().Crash(random_);
  ASSERT_NO_FATAL_FAILURE(Look(image, now));
}

INSTANTIATE_TEST_SUITE_P(Seeds, TreeCrashes, ::testing::Range(1, 13));

}  // namespace
}  // namespace keyhold::store
