// A store that was put back is refused until it is accepted, and what is accepted is exactly what
// authenticates.
#include "store/restored.h"

#include "tests/store/register_fixture.h"

namespace keyhold::store {
namespace {

using testing::BackingTree;
using ::testing::HasSubstr;
using testing::ReadFile;
using testing::Text;
using ::testing::UnorderedElementsAre;
using testing::WriteFile;

class RestoredTest : public testing::RegisterFixture {
 protected:
  void CloseTree() {
    ASSERT_TRUE(tree_->Close().ok());
    tree_.reset();
  }
  BackingTree All() const { return testing::ReadBacking(store_.path()); }
  void PutAllBack(const BackingTree& all) {
    for (const auto& entry : std::filesystem::directory_iterator(store_.path())) {
      std::filesystem::remove_all(entry.path());
    }
    testing::WriteBacking(all, store_.path());
  }
  StatusOr<Restored> Accept(uint64_t above = 0) { return AcceptRestored(context_, store_.fd(), 16, above); }
  void ExpectSound() {
    const auto census = TakeCensus(*tree_, true);
    ASSERT_TRUE(census.ok()) << census.status();
    EXPECT_EQ(census->damaged, 0U) << ::testing::PrintToString(census->damaged_places);
    EXPECT_EQ(census->missing, 0U);
  }
};

TEST_F(RestoredTest, AnOlderStoreIsTheLatestOnceItIsAccepted) {
  MakeSealed(tree_->root(), "file", Text(3, 'a'));
  CloseTree();
  const BackingTree old = All();
  OpenTree();
  Rewrite(Find(tree_->root(), "file"), Text(3, 'b'));
  ASSERT_TRUE(tree_->NextGeneration(40).ok());
  const uint64_t seen = tree_->generation();
  CloseTree();
  PutAllBack(old);
  ASSERT_EQ(CauseOf(Tree::Open(context_, store_.fd(), 16, seen).status()), Cause::kFailedPrecondition);
  const auto restored = Accept(seen);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_TRUE(restored->had_register);
  EXPECT_EQ(restored->given_up.older + restored->given_up.deleted + restored->given_up.missing, 0U);
  EXPECT_GT(restored->generation, seen);
  auto tree = Tree::Open(context_, store_.fd(), 16, restored->generation);
  ASSERT_TRUE(tree.ok()) << tree.status();
  tree_ = *std::move(tree);
  EXPECT_EQ(*ReadAll(Find(tree_->root(), "file")), Text(3, 'a'));
  ExpectSound();
}

TEST_F(RestoredTest, OlderAndDeletedFilesAreTakenInAndCounted) {
  Inode* older = MakeSealed(tree_->root(), "older", Text(3, 'a'));
  MakeSealed(tree_->root(), "deleted", "d");
  MakeSealed(tree_->root(), "missing", "m");
  MakeSealed(tree_->root(), "same", "s");
  BackingTree copy = Copy(PathOf("older"));
  copy.merge(Copy(PathOf("deleted")));
  Rewrite(older, Text(3, 'b'));
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "deleted").ok());
  const std::string missing = store_.path() + "/" + PathOf("missing");
  CloseTree();
  PutBack(copy);
  std::filesystem::remove(missing);
  const auto restored = Accept();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->given_up.older, 1U);
  EXPECT_EQ(restored->given_up.deleted, 1U);
  EXPECT_EQ(restored->given_up.missing, 1U);
  OpenTree();
  EXPECT_EQ(*ReadAll(Find(tree_->root(), "older")), Text(3, 'a'));
  EXPECT_THAT(NamesIn(tree_->root()), UnorderedElementsAre("older", "deleted", "same"));
  ExpectSound();
}

TEST_F(RestoredTest, AnOlderMapWithItsBlocksIsTakenIn) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(kGroupBlocks + 20, 'a'));
  const std::string path = PathOf("file");
  const std::string old = Copy(path).at(path).content;
  Rewrite(file, Text(2, 'b'));
  CloseTree();
  BackingTree mixed = Copy(path);
  mixed.at(path).content.replace(0, kGroupSectors * kSectorSize, old, 0, kGroupSectors * kSectorSize);
  PutBack(mixed);
  const auto restored = Accept();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->given_up.older, 1U);
  OpenTree();
  EXPECT_EQ(*ReadAll(Find(tree_->root(), "file")), Text(kGroupBlocks + 20, 'a'));
}

TEST_F(RestoredTest, ARegisterThatIsDamagedOrGoneIsBegunAnew) {
  const auto folder = tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe);
  ASSERT_TRUE(folder.ok());
  MakeSealed(folder->inode, "file", Text(2, 'a'));
  CloseTree();
  const std::string path = store_.path() + "/register";
  for (const bool gone : {false, true}) {
    gone ? static_cast<void>(std::filesystem::remove(path)) : WriteFile(path, std::string(8192, 'x'));
    ASSERT_EQ(CauseOf(Tree::Open(context_, store_.fd(), 16).status()), Cause::kCorrupt);
    const auto restored = Accept(7);
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_FALSE(restored->had_register);
    EXPECT_EQ(restored->census.files, 1U);
    EXPECT_GT(restored->generation, 7U);
    OpenTree();
    EXPECT_EQ(*ReadAll(Find(Find(tree_->root(), "folder"), "file")), Text(2, 'a'));
    ExpectSound();
    CloseTree();
  }
}

// What is taken in has its lines: the identity, each map and each folder.
TEST_F(RestoredTest, WhatIsOlderThanWhatWasAcceptedIsRefusedAgain) {
  Inode* file = MakeSealed(tree_->root(), "file", Text(2, 'a'));
  const auto folder = tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe);
  ASSERT_TRUE(folder.ok());
  const std::string path = PathOf("file");
  const BackingTree old = Copy(path);
  const BackingTree gone = Copy(PathOf("folder"));
  Rewrite(file, Text(2, 'b'));
  const BackingTree before = Copy(path);
  ASSERT_TRUE(tree_->Sync(file, false).ok());
  Rewrite(file, Text(2, 'c'));
  ASSERT_TRUE(tree_->RemoveDirectory(tree_->root(), "folder").ok());
  CloseTree();
  WriteFile(store_.path() + "/register", "x");
  ASSERT_TRUE(Accept().ok());
  const BackingTree accepted = Copy(path);
  BackingTree older_map = accepted;
  older_map.at(path).content = before.at(path).content;
  for (const BackingTree& put_back : {old, older_map}) {
    PutBack(put_back);
    OpenTree();
    EXPECT_EQ(CauseOf(ReadStatus("file")), Cause::kCorrupt);
    CloseTree();
  }
  PutBack(accepted);
  PutBack(gone);
  OpenTree();
  EXPECT_TRUE(ReadStatus("file").ok());
  ExpectOlder(tree_->List(Find(tree_->root(), "folder")).status(), "it was deleted");
}

// Births of the new register are beyond all that were: also after a crash, when files without a line are
// taken in, nothing from before is.
TEST_F(RestoredTest, AfterACrashWhatWasDeletedBeforeIsStillRefused) {
  MakeSealed(tree_->root(), "deleted", "d");
  const BackingTree old = Copy(PathOf("deleted"));
  ASSERT_TRUE(tree_->Unlink(tree_->root(), "deleted").ok());
  CloseTree();
  WriteFile(store_.path() + "/register", "x");
  ASSERT_TRUE(Accept().ok());
  OpenTree();
  MakeSealed(tree_->root(), "young", "y");
  const testing::TempStore left;  // as a kill now leaves it
  testing::WriteBacking(All(), left.path());
  PutBackIn(old, left.path());
  auto tree = Tree::Open(context_, left.fd(), 16);
  ASSERT_TRUE(tree.ok()) << tree.status();
  tree_ = *std::move(tree);
  EXPECT_TRUE(ReadStatus("young").ok());
  ExpectOlder(ReadStatus("deleted"), "it was deleted");
  tree_.reset();  // before its directory
}

TEST_F(RestoredTest, WhatDoesNotAuthenticateStaysUnreadable) {
  MakeSealed(tree_->root(), "block", Text(3, 'a'));
  MakeSealed(tree_->root(), "identity", Text(3, 'a'));
  MakeSealed(tree_->root(), "sound", Text(3, 'a'));
  const std::string block = PathOf("block");
  const std::string identity = PathOf("identity");
  BackingTree all = Copy(block);
  all.merge(Copy(identity));
  all.at(block).content[DataSectorAt(1) + 100] ^= 1;
  all.at(identity).attributes.at(kIdentityAttribute)[30] ^= 1;
  CloseTree();
  PutBack(all);
  const auto restored = Accept();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->census.damaged, 2U);
  OpenTree();
  EXPECT_EQ(CauseOf(ReadStatus("block")), Cause::kCorrupt);
  EXPECT_EQ(CauseOf(ReadStatus("identity")), Cause::kCorrupt);
  EXPECT_TRUE(ReadStatus("sound").ok());
}

TEST_F(RestoredTest, WhatIsMissingIsForgottenWhenThatIsAskedFor) {
  MakeSealed(tree_->root(), "missing", "m");
  MakeSealed(tree_->root(), "damaged", Text(3, 'a'));
  const std::string damaged = PathOf("damaged");
  const BackingTree missing = Copy(PathOf("missing"));
  const BackingTree sound = Copy(damaged);
  CloseTree();
  std::filesystem::remove(store_.path() + "/" + missing.begin()->first);
  BackingTree altered = sound;
  altered.at(damaged).content[DataSectorAt(1) + 100] ^= 1;
  PutBack(altered);
  for (const bool whole : {false, true}) {
    if (whole) PutBack(sound);
    OpenTree();
    for (int i = 0; i < 2; ++i) {
      const auto census = ForgetMissing(*tree_);
      ASSERT_TRUE(census.ok()) << census.status();
      EXPECT_EQ(census->missing, whole && i == 1 ? 0U : 1U);
    }
    CloseTree();
  }
  PutBack(missing);
  OpenTree();
  ExpectOlder(ReadStatus("missing"), "it was deleted");
}

TEST_F(RestoredTest, AFolderInTheRootsPlaceIsNotAccepted) {
  ASSERT_TRUE(tree_->MakeDirectory(tree_->root(), "folder", 0755, kMe).ok());
  const std::string folder = PathOf("folder");
  CloseTree();
  std::filesystem::rename(store_.path() + "/" + folder, store_.path() + "/aside");
  std::filesystem::remove_all(store_.path() + "/root");
  std::filesystem::rename(store_.path() + "/aside", store_.path() + "/root");
  const BackingTree before = All();
  ExpectOlder(Accept().status(), "root is not the one");
  EXPECT_EQ(All(), before);
  WriteFile(store_.path() + "/register", "x");
  ExpectOlder(Accept().status(), "root is not the one");
}

TEST_F(RestoredTest, WithoutTheKeysNothingIsAccepted) {
  MakeSealed(tree_->root(), "file", "a");
  CloseTree();
  const BackingTree before = All();
  class NoKeys final : public keyring::DataKeySource {
   public:
    keyring::DataKeyId Active() const override { return 1; }
    StatusOr<keyring::DataKey> Find(keyring::DataKeyId) const override {
      return keyring::DataKey::From(crypto::SecretBytes::CopyOf(crypto::AsBytes(std::string(32, '0'))));
    }
    StatusOr<keyring::DataKeyId> KeyToSeal(uint64_t) const override { return 1; }
  } others;
  const Context context{SystemPosix(), crypto::SystemRandom(), others, counter_};
  EXPECT_EQ(CauseOf(AcceptRestored(context, store_.fd(), 16, 0).status()), Cause::kCorrupt);
  EXPECT_EQ(All(), before);
}

TEST_F(RestoredTest, AnAcceptanceThatFailsChangesNothing) {
  MakeSealed(tree_->root(), "file", "a");
  CloseTree();
  WriteFile(store_.path() + "/register", "x");
  const std::string before = ReadFile(store_.path() + "/register");
  posix_.refusing = true;
  const Context context{posix_, crypto::SystemRandom(), keys_, counter_};
  EXPECT_EQ(ErrnoOf(AcceptRestored(context, store_.fd(), 16, 0).status()), ENOSPC);
  posix_.refusing = false;
  posix_.failing = true;
  EXPECT_EQ(ErrnoOf(AcceptRestored(context, store_.fd(), 16, 0).status()), EIO);
  EXPECT_EQ(ReadFile(store_.path() + "/register"), before);
}

}  // namespace
}  // namespace keyhold::store
