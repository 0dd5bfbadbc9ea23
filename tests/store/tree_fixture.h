// A store in a directory of a test's own, as a Tree and as what is on the disk.
#pragma once

#include <sys/xattr.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "store/tree.h"
#include "tests/base/temp_dir.h"
#include "tests/store/store_fixture.h"

namespace keyhold::testing {

// Not on tmpfs: the store wants extended attributes.
class TempStore : public TempDir {
 public:
  TempStore() : TempDir("/var/tmp") {}
};

// One backing inode: what git keeps of it, and its extended attributes.
struct Backing {
  char type = 'f';      // f, d, l
  std::string content;  // of a file; a link's target
  std::map<std::string, std::string> attributes;

  bool operator==(const Backing&) const = default;
};
using BackingTree = std::map<std::string, Backing>;  // by path below the store

inline std::map<std::string, std::string> AttributesOf(const std::string& path) {
  std::map<std::string, std::string> all;
  std::string list(64 << 10, '\0');
  const ssize_t size = llistxattr(path.c_str(), list.data(), list.size());
  for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(std::string_view(&list[at]).size()) + 1) {
    std::string value(64 << 10, '\0');
    const ssize_t length = lgetxattr(path.c_str(), &list[at], value.data(), value.size());
    if (length >= 0) all[&list[at]] = value.substr(0, static_cast<size_t>(length));
  }
  return all;
}

inline BackingTree ReadBacking(const std::string& store) {
  BackingTree tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store)) {
    Backing backing;
    const std::string path = entry.path().string();
    if (entry.is_symlink()) {
      backing = {'l', std::filesystem::read_symlink(entry).string(), {}};
    } else if (entry.is_directory()) {
      backing.type = 'd';
    } else {
      backing.content = ReadFile(path);
    }
    if (!entry.is_symlink()) backing.attributes = AttributesOf(path);
    tree[path.substr(store.size() + 1)] = std::move(backing);
  }
  return tree;
}

inline void WriteBacking(const BackingTree& tree, const std::string& store) {
  for (const auto& [name, backing] : tree) {
    const std::string path = store + "/" + name;
    if (backing.type == 'd') std::filesystem::create_directory(path);
    if (backing.type == 'l') std::filesystem::create_symlink(backing.content, path);
    if (backing.type == 'f') WriteFile(path, backing.content);
    for (const auto& [attribute, value] : backing.attributes) {
      ASSERT_EQ(lsetxattr(path.c_str(), attribute.c_str(), value.data(), value.size(), 0), 0) << path;
    }
  }
}

class TreeFixture : public StoreFixture {
 protected:
  static constexpr store::Owner kMe{0, 0};

  void OpenTree() { OpenTree(context_); }
  void OpenTree(const store::Context& context) {
    tree_.reset();
    auto tree = store::Tree::Open(context, store_.fd(), 16);
    ASSERT_TRUE(tree.ok()) << tree.status();
    tree_ = *std::move(tree);
  }
  // With one more lookup, which goes with the tree.
  store::Inode* Find(store::Inode* parent, const std::string& name) {
    const auto entry = tree_->Lookup(parent, name);
    EXPECT_TRUE(entry.ok()) << entry.status();
    return entry.ok() ? entry->inode : nullptr;
  }
  store::Inode* Make(store::Inode* parent, const std::string& name, const std::string& content) {
    const auto entry = tree_->MakeFile(parent, name, 0644, kMe);
    EXPECT_TRUE(entry.ok()) << entry.status();
    if (!entry.ok()) return nullptr;
    EXPECT_TRUE(tree_->Write(entry->inode, 0, crypto::AsBytes(content), store::Durability::kLazy).ok());
    return entry->inode;
  }
  StatusOr<std::string> ReadAll(store::Inode* inode) {
    KEYHOLD_ASSIGN_OR_RETURN(const struct stat st, tree_->Attributes(inode));
    std::string out(static_cast<size_t>(st.st_size) + 1, '?');
    KEYHOLD_ASSIGN_OR_RETURN(const size_t size,
                             tree_->Read(inode, 0, {reinterpret_cast<uint8_t*>(out.data()), out.size()}));
    out.resize(size);
    return out;
  }
  std::vector<std::string> NamesIn(store::Inode* directory) {
    std::vector<std::string> names;
    const auto listed = tree_->List(directory);
    EXPECT_TRUE(listed.ok()) << listed.status();
    if (listed.ok()) {
      for (const store::Listed& entry : *listed) names.push_back(entry.name);
    }
    return names;
  }
  void SyncAndSeal(store::Inode* inode) {
    ASSERT_TRUE(tree_->Sync(inode, false).ok());
    tree_->SealAll();
  }

  TempStore store_;
  std::unique_ptr<store::Tree> tree_;
};

}  // namespace keyhold::testing
