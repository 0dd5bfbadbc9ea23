// A store whose parts are copied and put back behind its back.
#pragma once

#include <gmock/gmock.h>

#include "tests/base/forwarding_posix.h"
#include "tests/store/tree_fixture.h"

namespace keyhold::testing {

inline std::string Text(size_t blocks, char letter) {
  return std::string(blocks * store::kPayloadSize, letter);
}

// Refuses to put a register in place, once it is told to.
class NoRegister final : public ForwardingPosix {
 public:
  int RenameAt2(int old_dir, const char* old_path, int dir, const char* path, unsigned flags) override {
    if (refusing && std::string_view(path) == "register") return -ENOSPC;
    return ForwardingPosix::RenameAt2(old_dir, old_path, dir, path, flags);
  }
  int FSync(int fd) override { return failing ? -EIO : ForwardingPosix::FSync(fd); }
  bool refusing = false;
  bool failing = false;
};

class RegisterFixture : public TreeFixture {
 protected:
  void SetUp() override {
    TreeFixture::SetUp();
    OpenTree();
  }
  void TearDown() override { tree_.reset(); }

  store::Inode* MakeSealed(store::Inode* parent, const std::string& name, const std::string& content) {
    store::Inode* inode = Make(parent, name, content);
    SyncAndSeal(inode);
    return inode;
  }
  void Rewrite(store::Inode* inode, const std::string& content) {
    ASSERT_TRUE(tree_->Write(inode, 0, crypto::AsBytes(content), store::Durability::kLazy).ok());
    SyncAndSeal(inode);
  }
  void Reopen() {
    ASSERT_TRUE(tree_->Close().ok());
    tree_.reset();
    OpenTree();
  }

  std::string PathOf(const std::string& entry, const std::string& parent = "root") {
    store::Descriptor fd(SystemPosix(), open((store_.path() + "/" + parent).c_str(), O_RDONLY | O_CLOEXEC));
    const auto identity = store::ReadIdentity(context_, fd.get(), store::InodeKind::kDirectory);
    EXPECT_TRUE(identity.ok()) << identity.status();
    return parent + "/" + store::Names::Of(context_, *identity)->Seal(entry)->entry;
  }
  // What is below `path`, and it.
  BackingTree Copy(const std::string& path) const {
    BackingTree all = ReadBacking(store_.path());
    std::erase_if(all, [&](const auto& entry) { return !entry.first.starts_with(path); });
    return all;
  }
  void PutBack(const BackingTree& copy) { PutBackIn(copy, store_.path()); }
  static void PutBackIn(const BackingTree& copy, const std::string& into) {
    for (const auto& [path, backing] : copy) std::filesystem::remove_all(into + "/" + path);
    WriteBacking(copy, into);
  }
  Status ReadStatus(const std::string& name) {
    const auto entry = tree_->Lookup(tree_->root(), name);
    if (!entry.ok()) return entry.status();
    return ReadAll(entry->inode).status();
  }
  void ExpectOlder(const Status& status, const std::string& words = "older copy") {
    EXPECT_EQ(CauseOf(status), Cause::kCorrupt) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(words));
  }

  NoRegister posix_;
};

}  // namespace keyhold::testing
