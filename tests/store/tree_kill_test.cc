// A process killed between any two changes of the disk: what it was doing with a name is done, or not at all.
#include <gmock/gmock.h>
#include <linux/fs.h>

#include "absl/strings/str_format.h"
#include "tests/store/killed_posix.h"
#include "tests/store/tree_fixture.h"

namespace keyhold::store {
namespace {

using ::testing::AnyOf;

const std::string kLong(200, 'l');
const std::string kLong2(200, 'm');
constexpr Owner kSomebody{1234, 4321};

class TreeKillTest : public testing::TreeFixture {
 protected:
  using Described = std::map<std::string, std::string>;
  using Work = std::function<Status()>;

  // Cut off after ever more changes, until it comes to its end.
  void CutOffAnywhere(const Work& work) {
    Described before;
    Described after;
    {
      SetUpStore(SystemPosix());
      before = Describe(tree_->root(), "");
      (void)work();
      after = Describe(tree_->root(), "");
    }
    testing::KilledPosix killed;
    int calls = 0;
    for (bool ended = false; !ended; ++calls) {
      ASSERT_LT(calls, 100);
      SetUpStore(killed);
      killed.calls = calls;
      (void)work();
      ended = killed.calls > 0;
      killed.calls = 0;
      OpenTree();
      EXPECT_THAT(Describe(tree_->root(), ""), AnyOf(before, after)) << "after " << calls << " changes";
      killed.calls = INT_MAX;
    }
    EXPECT_EQ(Describe(tree_->root(), ""), after);
  }

  StatusOr<Entry> Found(const std::string& name) { return tree_->Lookup(tree_->root(), name); }

 private:
  void SetUpStore(Posix& posix) {
    tree_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(store_.path())) {
      std::filesystem::remove_all(entry.path());
    }
    OpenTree({posix, crypto::SystemRandom(), keys_, counter_});
    Make(tree_->root(), "file", "of a file");
    Make(tree_->root(), kLong, "of a long name");
    ASSERT_TRUE(tree_->MakeDirectory(tree_->root(), "folder", 0751, kSomebody).ok());
  }

  Described Describe(Inode* directory, const std::string& path) {
    Described all;
    for (const std::string& name : NamesIn(directory)) {
      const auto entry = tree_->Lookup(directory, name);
      if (!entry.ok()) {
        ADD_FAILURE() << name << ": " << entry.status();
        continue;
      }
      const struct stat& st = entry->st;
      std::string& line = all[path + "/" + name];
      line = absl::StrFormat("%o %d %d %d", st.st_mode, st.st_uid, st.st_gid, st.st_size);
      if (S_ISREG(st.st_mode)) line += " " + ReadAll(entry->inode).value_or("?");
      if (S_ISLNK(st.st_mode)) line += " " + tree_->ReadLink(entry->inode).value_or("?");
      if (S_ISDIR(st.st_mode)) all.merge(Describe(entry->inode, path + "/" + name));
    }
    return all;
  }
};

TEST_F(TreeKillTest, AFileHasItsModeAndOwnerFromTheStart) {
  CutOffAnywhere([&] { return tree_->MakeFile(tree_->root(), "new", 0640, kSomebody).status(); });
  CutOffAnywhere([&] { return tree_->MakeFile(tree_->root(), kLong2, 0640, kSomebody).status(); });
}

TEST_F(TreeKillTest, ADirectoryHasItsModeAndOwnerFromTheStart) {
  CutOffAnywhere([&] { return tree_->MakeDirectory(tree_->root(), "new", 0750, kSomebody).status(); });
  CutOffAnywhere([&] { return tree_->MakeDirectory(tree_->root(), kLong2, 0750, kSomebody).status(); });
}

TEST_F(TreeKillTest, ALinkAndANodeHaveTheirOwnerFromTheStart) {
  CutOffAnywhere([&] { return tree_->MakeSymlink(tree_->root(), "new", "target", kSomebody).status(); });
  CutOffAnywhere(
      [&] { return tree_->MakeNode(tree_->root(), "new", S_IFIFO | 0640, 0, kSomebody).status(); });
  CutOffAnywhere([&] { return tree_->MakeLink(Found("file")->inode, tree_->root(), kLong2).status(); });
}

TEST_F(TreeKillTest, AFailedTryLeavesTheNameThatIsThere) {
  CutOffAnywhere([&] { return tree_->MakeFile(tree_->root(), kLong, 0640, kSomebody).status(); });
  CutOffAnywhere([&] { return tree_->MakeDirectory(tree_->root(), kLong, 0750, kSomebody).status(); });
  CutOffAnywhere(
      [&] { return tree_->Rename(tree_->root(), "file", tree_->root(), kLong, RENAME_NOREPLACE); });
  CutOffAnywhere([&] { return tree_->Rename(tree_->root(), "folder", tree_->root(), kLong, 0); });
}

TEST_F(TreeKillTest, ARenameIsDoneOrNot) {
  CutOffAnywhere([&] { return tree_->Rename(tree_->root(), "file", tree_->root(), kLong, 0); });
  CutOffAnywhere([&] { return tree_->Rename(tree_->root(), kLong, tree_->root(), kLong2, 0); });
  CutOffAnywhere([&] { return tree_->Rename(tree_->root(), kLong, Found("folder")->inode, kLong, 0); });
  CutOffAnywhere([&] { return tree_->Rename(tree_->root(), "file", tree_->root(), kLong, RENAME_EXCHANGE); });
}

TEST_F(TreeKillTest, ARemovalIsDoneOrNot) {
  CutOffAnywhere([&] { return tree_->Unlink(tree_->root(), kLong); });
  CutOffAnywhere([&] { return tree_->RemoveDirectory(tree_->root(), "folder"); });
}

// What is left of making it is no entry, and keeps no directory from being removed.
TEST_F(TreeKillTest, LeftoversAreNoEntries) {
  testing::KilledPosix killed;
  OpenTree({killed, crypto::SystemRandom(), keys_, counter_});
  const auto folder = tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe);
  ASSERT_TRUE(folder.ok());
  killed.calls = 2;
  EXPECT_FALSE(tree_->MakeFile(folder->inode, "new", 0644, kMe).ok());
  killed.calls = INT_MAX;
  OpenTree();
  EXPECT_THAT(NamesIn(Find(tree_->root(), "folder")), ::testing::IsEmpty());
  EXPECT_TRUE(tree_->RemoveDirectory(tree_->root(), "folder").ok());
}

}  // namespace
}  // namespace keyhold::store
