// What is put back from an older copy is refused, whole files and deleted ones too, and what is honest is
// not.
#include "store/register.h"

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "store/reencrypt.h"
#include "tests/store/register_fixture.h"

namespace keyhold::store {
namespace {

using testing::Backing;
using testing::BackingTree;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

using testing::Text;

using RegisterTest = testing::RegisterFixture;

TEST_F(RegisterTest, AnOlderWholeFileIsRefusedAfterACleanEnd) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(3, 'a'));
  MakeSealed(tree_->root(), "other", Text(1, 'o'));
  const BackingTree old = Copy(PathOf("file"));
  Rewrite(file, Text(4, 'b'));
  Reopen();
  EXPECT_TRUE(ReadStatus("file").ok());
  tree_.reset();
  PutBack(old);
  std::stringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  OpenTree();
  ExpectOlder(ReadStatus("file"));
  spdlog::set_default_logger(before);
  struct stat st;
  ASSERT_EQ(stat((store_.path() + "/" + PathOf("file")).c_str(), &st), 0);
  EXPECT_THAT(log.str(),
              HasSubstr("store: backing inode " + std::to_string(st.st_ino) + ": it is an older copy"));
  EXPECT_EQ(tree_->corrupt_count(), 1U);
  EXPECT_TRUE(ReadStatus("other").ok()) << "other files go on";
}

// The copy of the older file is as young as can be: nothing was written since but the same blocks anew.
TEST_F(RegisterTest, AnOlderWholeFileOfTheSameSizeIsRefused) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(2, 'a'));
  Reopen();
  file = Find(tree_->root(), "file");
  Rewrite(file, Text(2, 'b'));
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  const BackingTree old = Copy(PathOf("file"));
  OpenTree();
  Rewrite(Find(tree_->root(), "file"), Text(2, 'c'));
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  PutBack(old);
  OpenTree();
  ExpectOlder(ReadStatus("file"));
}

TEST_F(RegisterTest, AnOlderWholeFileIsRefusedAfterACrash) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(3, 'a'));
  const std::string path = PathOf("file");
  const BackingTree old = Copy(path);
  Rewrite(file, Text(3, 'b'));
  ASSERT_TRUE(tree_->Record().ok());
  // As a kill now leaves it.
  const testing::TempStore left;
  testing::WriteBacking(testing::ReadBacking(store_.path()), left.path());
  {
    const auto tree = Tree::Open(context_, left.fd(), 16);
    ASSERT_TRUE(tree.ok()) << tree.status();
    EXPECT_TRUE((*tree)->Lookup((*tree)->root(), "file").ok());
  }
  PutBackIn(old, left.path());
  const auto tree = Tree::Open(context_, left.fd(), 16);
  ASSERT_TRUE(tree.ok()) << tree.status();
  ExpectOlder((*tree)->Lookup((*tree)->root(), "file").status());
}

TEST_F(RegisterTest, AnOlderFileIsRefusedInAStoreThatIsOpen) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(3, 'a'));
  const BackingTree old = Copy(PathOf("file"));
  Rewrite(file, Text(3, 'b'));
  ASSERT_TRUE(tree_->Sync(file, false).ok());
  tree_->Forget(file, 2);
  PutBack(old);
  ExpectOlder(ReadStatus("file"));
}

// An older identity knows of no maps, or of fewer.
TEST_F(RegisterTest, AnOlderIdentityAloneIsRefused) {
  Inode* file = Make(tree_->root(), "file", Text(3, 'a'));
  const std::string path = PathOf("file");
  const Backing young = Copy(path).at(path);
  SyncAndSeal(file);
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  BackingTree mixed = Copy(path);
  mixed.at(path).attributes = young.attributes;
  PutBack(mixed);
  OpenTree();
  ExpectOlder(ReadStatus("file"));
}

TEST_F(RegisterTest, AnOlderMapWithItsBlocksIsRefused) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(kGroupBlocks + 20, 'a'));
  const std::string path = PathOf("file");
  const std::string old = Copy(path).at(path).content;
  Rewrite(file, Text(2, 'b'));
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  BackingTree mixed = Copy(path);
  const size_t group = kGroupSectors * kSectorSize;
  mixed.at(path).content.replace(0, group, old, 0, group);
  PutBack(mixed);
  OpenTree();
  ExpectOlder(ReadStatus("file"), "the map of group 0 is an older copy");
  std::array<uint8_t, 10> some;
  EXPECT_TRUE(tree_->Read(Find(tree_->root(), "file"), StartOf(kGroupBlocks), some).ok())
      << "the rest goes on";
}

TEST_F(RegisterTest, ADeletedFileThatIsPutBackIsRefused) {
  MakeSealed(tree_->root(), "sealed", Text(3, 'a'));
  Make(tree_->root(), "young", "never synced");
  const BackingTree sealed = Copy(PathOf("sealed"));
  const BackingTree young = Copy(PathOf("young"));
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "sealed").ok());
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "young").ok());
  Reopen();
  PutBack(sealed);
  PutBack(young);
  ExpectOlder(ReadStatus("sealed"), "it was deleted");
  ExpectOlder(ReadStatus("young"), "it was deleted");
}

TEST_F(RegisterTest, AFileThatWasRenamedOverAndIsPutBackIsRefused) {
  MakeSealed(tree_->root(), "file", "old");
  const BackingTree old = Copy(PathOf("file"));
  MakeSealed(tree_->root(), "file.new", "new");
  ASSERT_TRUE(tree_->Rename(tree_->root(), "file.new", tree_->root(), "file", 0).ok());
  ASSERT_TRUE(tree_->Record().ok());
  const std::string taken = PathOf("taken");
  BackingTree elsewhere;
  elsewhere[taken] = old.begin()->second;
  PutBack(elsewhere);
  ExpectOlder(ReadStatus("taken"), "it was deleted");
  EXPECT_EQ(*ReadAll(Find(tree_->root(), "file")), "new");
}

TEST_F(RegisterTest, ADeletedFolderThatIsPutBackIsRefused) {
  const auto folder = tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe);
  ASSERT_TRUE(folder.ok());
  MakeSealed(folder->inode, "file", "x");
  const BackingTree old = Copy(PathOf("folder"));
  ASSERT_TRUE(tree_->Unlink(folder->inode, "file").ok());
  ASSERT_TRUE(tree_->RemoveDirectory(tree_->root(), "folder").ok());
  Reopen();
  PutBack(old);
  const auto found = tree_->Lookup(tree_->root(), "folder");
  ASSERT_TRUE(found.ok()) << found.status();
  ExpectOlder(tree_->List(found->inode).status(), "it was deleted");
  ExpectOlder(tree_->Lookup(found->inode, "file").status(), "it was deleted");
}

TEST_F(RegisterTest, AFileWithAnotherNameStays) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(2, 'a'));
  ASSERT_TRUE(tree_->MakeLink(file, tree_->root(), "second").ok());
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "file").ok());
  ASSERT_TRUE(tree_->Record().ok());
  Reopen();
  EXPECT_TRUE(ReadStatus("second").ok());
}

TEST_F(RegisterTest, AFileThatIsOpenWithoutANameGoesOn) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(2, 'a'));
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "file").ok());
  ASSERT_TRUE(tree_->Record().ok());
  Rewrite(file, Text(2, 'b'));
  EXPECT_EQ(*ReadAll(file), Text(2, 'b'));
  ASSERT_TRUE(tree_->Record().ok());
  EXPECT_EQ(TakeCensus(*tree_, true)->missing, 0U);
}

TEST_F(RegisterTest, AnOlderTreeIsRefusedWhenItIsOpened) {
  MakeSealed(tree_->root(), "file", "a");
  Reopen();
  const BackingTree old = Copy("root");
  MakeSealed(tree_->root(), "second", "b");
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  std::filesystem::remove_all(store_.path() + "/root");
  PutBack(old);
  ExpectOlder(Tree::Open(context_, store_.fd(), 16).status());
}

TEST_F(RegisterTest, AnotherRootIsRefused) {
  ASSERT_TRUE(tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe).ok());
  const std::string folder = PathOf("folder");
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  const std::string root = store_.path() + "/root";
  std::filesystem::rename(store_.path() + "/" + folder, store_.path() + "/aside");
  std::filesystem::rename(root, store_.path() + "/away");
  std::filesystem::rename(store_.path() + "/aside", root);
  ExpectOlder(Tree::Open(context_, store_.fd(), 16).status(), "the store's root is not the one");
  std::filesystem::remove_all(root);
  ExpectOlder(Tree::Open(context_, store_.fd(), 16).status(), "the store's root is not the one");
}

TEST_F(RegisterTest, AnOlderRegisterHasALowerGeneration) {
  MakeSealed(tree_->root(), "file", "a");
  ASSERT_TRUE(tree_->NextGeneration(100).ok());
  EXPECT_EQ(tree_->generation(), 101U);
  const BackingTree old = testing::ReadBacking(store_.path());
  ASSERT_TRUE(tree_->Close().ok());
  const uint64_t last = tree_->generation();
  EXPECT_GT(last, 101U) << "an end is a generation too";
  tree_.reset();
  EXPECT_TRUE(Tree::Open(context_, store_.fd(), 16, last).ok());
  std::filesystem::remove_all(store_.path() + "/root");
  PutBack(old);
  for (int i = 0; i < 5; ++i) {
    const auto refused = Tree::Open(context_, store_.fd(), 16, last);
    EXPECT_EQ(CauseOf(refused.status()), Cause::kFailedPrecondition);
    EXPECT_THAT(
        std::string(refused.status().message()),
        HasSubstr("its generation is 101, and generation " + std::to_string(last) + " has been in force"));
  }
  EXPECT_EQ(testing::ReadBacking(store_.path()), old) << "nothing was written";
}

TEST_F(RegisterTest, AStoreThatWasOnlyReadIsLeftAlone) {
  MakeSealed(tree_->root(), "file", "a");
  ASSERT_TRUE(tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe).ok());
  Reopen();
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  const BackingTree before = testing::ReadBacking(store_.path());
  OpenTree();
  EXPECT_TRUE(ReadStatus("file").ok());
  EXPECT_EQ(TakeCensus(*tree_, true)->missing, 0U);
  ASSERT_TRUE(tree_->Close().ok());
  EXPECT_EQ(testing::ReadBacking(store_.path()), before);
}

TEST_F(RegisterTest, AMissingOrDamagedRegisterIsRefused) {
  for (int i = 0; i < 300; ++i) Make(tree_->root(), "file" + std::to_string(i), "");
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  const BackingTree good = Copy("register");
  const std::string path = store_.path() + "/register";
  std::filesystem::remove(path);
  ExpectOlder(Tree::Open(context_, store_.fd(), 16).status(), "the store's register is gone");
  const std::string& content = good.at("register").content;
  ASSERT_GT(content.size(), 3 * kSectorSize);
  for (size_t sector = 0; sector < content.size() / kSectorSize; ++sector) {
    if (sector == 0) continue;  // there is no map
    BackingTree bad = good;
    bad.at("register").content.replace(sector * kSectorSize, kSectorSize, kSectorSize, '\0');
    PutBack(bad);
    ExpectOlder(Tree::Open(context_, store_.fd(), 16).status(), "the store's register");
    bad = good;
    bad.at("register").content[sector * kSectorSize + 100] ^= 1;
    PutBack(bad);
    ExpectOlder(Tree::Open(context_, store_.fd(), 16).status(), "the store's register");
    bad = good;
    bad.at("register").content.resize(sector * kSectorSize);
    PutBack(bad);
    ExpectOlder(Tree::Open(context_, store_.fd(), 16).status(), "the store's register");
  }
  // A user's file is no register, whatever it holds.
  PutBack(good);
  OpenTree();
  const BackingTree forged = Copy(PathOf("file0"));
  tree_.reset();
  BackingTree bad;
  bad["register"] = forged.begin()->second;
  PutBack(bad);
  ExpectOlder(Tree::Open(context_, store_.fd(), 16).status(), "its identity does not authenticate");
  PutBack(good);
  EXPECT_TRUE(Tree::Open(context_, store_.fd(), 16).ok());
}

TEST_F(RegisterTest, WhatAKilledProcessMadeIsTakenInAndCaughtUpWith) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(3, 'a'));
  ASSERT_TRUE(tree_->Record().ok());
  MakeSealed(tree_->root(), "young", Text(1, 'y'));
  Rewrite(file, Text(3, 'b'));
  const testing::TempStore left;
  testing::WriteBacking(testing::ReadBacking(store_.path()), left.path());
  const std::string path = PathOf("young");
  for (const char letter : {'x', 'z'}) {
    const auto tree = Tree::Open(context_, left.fd(), 16);
    ASSERT_TRUE(tree.ok()) << tree.status();
    for (const char* name : {"file", "young"}) {
      EXPECT_TRUE((*tree)->Lookup((*tree)->root(), name).ok()) << name;
    }
    const std::string mine(1, letter);
    EXPECT_TRUE((*tree)->MakeFile((*tree)->root(), mine, 0644, kMe).ok());
    ASSERT_TRUE((*tree)->Record().ok());
  }
  // Found twice, and deleted: from now on it is one of the others.
  {
    const auto tree = Tree::Open(context_, left.fd(), 16);
    ASSERT_TRUE(tree.ok()) << tree.status();
    EXPECT_EQ(TakeCensus(**tree, true)->damaged, 0U);
    EXPECT_TRUE((*tree)->Unlink((*tree)->root(), "young").ok());
  }
  PutBackIn(Copy(path), left.path());
  const auto tree = Tree::Open(context_, left.fd(), 16);
  ASSERT_TRUE(tree.ok()) << tree.status();
  ExpectOlder((*tree)->Lookup((*tree)->root(), "young").status(), "it was deleted");
}

TEST_F(RegisterTest, VerifyCountsWhatTheRegisterKnowsAndTheTreeHasNoMore) {
  MakeSealed(tree_->root(), "file", "a");
  MakeSealed(tree_->root(), "other", "b");
  Reopen();
  EXPECT_EQ(TakeCensus(*tree_, true)->missing, 0U);
  const std::string path = store_.path() + "/" + PathOf("file");
  ASSERT_TRUE(tree_->Close().ok());
  tree_.reset();
  std::filesystem::remove(path);
  OpenTree();
  const auto census = TakeCensus(*tree_, true);
  EXPECT_EQ(census->missing, 1U);
  EXPECT_EQ(census->damaged, 0U);
}

TEST_F(RegisterTest, ReencryptionCountsTheRegisterAndBringsItAlong) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(2, 'a'));
  ASSERT_TRUE(tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe).ok());
  Reopen();
  const BackingTree old = Copy(PathOf("file"));
  EXPECT_GE(TakeCensus(*tree_, false)->uses.at(1).others, 5U) << "three identities, and two of the register";
  keys_.Add();
  Reencryption reencryption(*tree_, SystemClock());
  ASSERT_TRUE(reencryption.Start({0, 1}).ok());
  const ReencryptProgress done = reencryption.Wait();
  ASSERT_EQ(done.state, ReencryptState::kDone) << done.status;
  EXPECT_EQ(done.census.uses.size(), 1U);
  EXPECT_GE(done.census.uses.at(2).others, 5U);
  keys_.Destroy(1);
  Reopen();
  EXPECT_TRUE(ReadStatus("file").ok());
  file = Find(tree_->root(), "file");
  Rewrite(file, Text(2, 'b'));
  Reopen();
  EXPECT_EQ(TakeCensus(*tree_, true)->damaged, 0U);
}

TEST_F(RegisterTest, ARegisterThatCannotBeWrittenCostsNothingThatIsThere) {
  const Context context{posix_, crypto::SystemRandom(), keys_, counter_};
  OpenTree(context);
  MakeSealed(tree_->root(), "before", "b");
  ASSERT_TRUE(tree_->Record().ok());
  posix_.refusing = true;
  const uint64_t generation = tree_->generation();
  Inode* file = MakeSealed(tree_->root(), "file", "a");
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "before").ok());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ErrnoOf(tree_->Record()), ENOSPC);
  EXPECT_EQ(ErrnoOf(tree_->NextGeneration(generation)), ENOSPC);
  EXPECT_EQ(tree_->generation(), generation);
  Rewrite(file, "c");
  MakeSealed(tree_->root(), "later", "l");
  EXPECT_FALSE(tree_->Close().ok());
  tree_.reset();
  OpenTree(context);
  for (const char* name : {"file", "later"}) EXPECT_TRUE(ReadStatus(name).ok()) << name;
  EXPECT_EQ(ErrnoOf(tree_->MakeFile(tree_->root(), "new", 0644, kMe).status()), ENOSPC)
      << "a crash would not be told from a clean end";
  posix_.refusing = false;
  EXPECT_TRUE(tree_->MakeFile(tree_->root(), "new", 0644, kMe).ok());
  Reopen();
  EXPECT_EQ(TakeCensus(*tree_, true)->damaged, 0U);
}

TEST_F(RegisterTest, LinesStayWhereTheEndOfTheirFileIsNotDurable) {
  OpenTree({posix_, crypto::SystemRandom(), keys_, counter_});
  MakeSealed(tree_->root(), "file", "a");
  ASSERT_TRUE(tree_->Record().ok());
  const BackingTree old = Copy(PathOf("file"));
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "file").ok());
  posix_.failing = true;
  EXPECT_FALSE(tree_->Record().ok());
  PutBack(old);  // as a crash now may
  EXPECT_TRUE(ReadStatus("file").ok());
  std::filesystem::remove(store_.path() + "/" + PathOf("file"));
  posix_.failing = false;
  ASSERT_TRUE(tree_->Record().ok());
  PutBack(old);
  ExpectOlder(ReadStatus("file"), "it was deleted");
}

}  // namespace
}  // namespace keyhold::store
