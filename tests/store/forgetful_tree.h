// A disk that forgets, for a whole store: works on a real directory, records what is done there, and builds
// what a crash may leave of it in another one.
//
// As ForgetfulPosix, with a journal for each inode: sizes, holes and attributes of a file, names and
// attributes of a directory. A crash keeps some prefix of each; a rename between directories is in both or in
// none. A sync of an inode pins its sectors and its journal; fdatasync(2) no further than its last change of
// size. Nothing is really synced. Knows no side files.
#pragma once

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "store/layout.h"
#include "tests/base/forwarding_posix.h"
#include "tests/store/forgetful_posix.h"
#include "tests/store/tree_fixture.h"

namespace keyhold::testing {

// What is on the disk of one inode.
struct NodeImage {
  char type = 'f';  // f, d, l
  DiskImage file;
  std::map<std::string, std::string> attributes;
  std::map<std::string, int> entries;  // of a directory: to nodes
  std::string target;                  // of a link
};

// By number; 0 is the store's directory.
using TreeImage = std::map<int, NodeImage>;

class ForgetfulTree final : public ForwardingPosix {
 public:
  // What is below `store` is durable.
  explicit ForgetfulTree(const std::string& store) {
    std::lock_guard lock(mutex_);
    numbers_[NumberOf(store)] = next_++;
    durable_[0].type = 'd';
    Scan(store, 0);
  }

  int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
    const std::lock_guard lock(mutex_);
    struct stat st;
    const bool there = (flags & O_CREAT) == 0 || fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
    const int fd = ForwardingPosix::OpenAt(dir, path, flags, mode);
    if (fd < 0) return fd;
    if (!there) Made(dir, path, 'f', "");
    if (there && (flags & O_TRUNC) != 0) Log({Kind::kTruncate, Of(fd)});
    return fd;
  }
  ssize_t PWrite(int fd, const void* buffer, size_t size, off_t offset, int flags) override {
    const std::lock_guard lock(mutex_);
    const ssize_t n = ForwardingPosix::PWrite(fd, buffer, size, offset, 0);
    const auto* bytes = static_cast<const char*>(buffer);
    const int node = Of(fd);
    for (ssize_t done = 0; done < n; done += store::kSectorSize) {
      Op op{Kind::kSector, node, (static_cast<uint64_t>(offset) + done) / store::kSectorSize};
      op.text.assign(bytes + done, std::min<size_t>(store::kSectorSize, n - done));
      op.text.resize(store::kSectorSize);
      op.grows = op.first >= sectors_[node];
      sectors_[node] = std::max(sectors_[node], op.first + 1);
      if ((flags & RWF_DSYNC) != 0) pinned_.insert({node, op.first});
      Log(std::move(op));
    }
    if ((flags & RWF_DSYNC) != 0)
      Pin(node, true, [&](const Op& op) { return pinned_.contains({node, op.first}); });
    pinned_.clear();
    return n;
  }
  int FSync(int fd) override { return PinAll(fd, false); }
  int FDataSync(int fd) override { return PinAll(fd, true); }
  int SyncFs(int) override {
    const std::lock_guard lock(mutex_);
    for (const Op& op : ops_) Apply(op, durable_);
    ops_.clear();
    return 0;
  }
  int FTruncate(int fd, off_t size) override {
    const std::lock_guard lock(mutex_);
    Log({Kind::kTruncate, Of(fd), static_cast<uint64_t>(size)});
    return ForwardingPosix::FTruncate(fd, size);
  }
  int FAllocate(int fd, int mode, off_t offset, off_t size) override {
    const std::lock_guard lock(mutex_);
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
      const uint64_t first = static_cast<uint64_t>(offset) / store::kSectorSize;
      Log({Kind::kPunch, Of(fd), first, first + static_cast<uint64_t>(size) / store::kSectorSize});
    }
    return ForwardingPosix::FAllocate(fd, mode, offset, size);
  }
  int FSetXAttr(int fd, const char* name, const void* value, size_t size, int flags) override {
    const std::lock_guard lock(mutex_);
    const int result = ForwardingPosix::FSetXAttr(fd, name, value, size, flags);
    if (result == 0) {
      Op op{Kind::kAttribute, Of(fd)};
      op.name = name;
      op.text.assign(static_cast<const char*>(value), size);
      Log(std::move(op));
    }
    return result;
  }
  int FRemoveXAttr(int fd, const char* name) override {
    const std::lock_guard lock(mutex_);
    const int result = ForwardingPosix::FRemoveXAttr(fd, name);
    Op op{Kind::kNoAttribute, Of(fd)};
    op.name = name;
    if (result == 0) Log(std::move(op));
    return result;
  }
  int MkDirAt(int dir, const char* path, mode_t mode) override {
    const std::lock_guard lock(mutex_);
    const int result = ForwardingPosix::MkDirAt(dir, path, mode);
    if (result == 0) Made(dir, path, 'd', "");
    return result;
  }
  int SymlinkAt(const char* target, int dir, const char* path) override {
    const std::lock_guard lock(mutex_);
    const int result = ForwardingPosix::SymlinkAt(target, dir, path);
    if (result == 0) Made(dir, path, 'l', target);
    return result;
  }
  int LinkAt(int old_dir, const char* old_path, int dir, const char* path, int flags) override {
    const std::lock_guard lock(mutex_);
    const int result = ForwardingPosix::LinkAt(old_dir, old_path, dir, path, flags);
    if (result == 0) {
      Op op{Kind::kEntry, Of(dir)};
      op.other = At(dir, path);
      op.name = path;
      Log(std::move(op));
    }
    return result;
  }
  int UnlinkAt(int dir, const char* path, int flags) override {
    const std::lock_guard lock(mutex_);
    const int node = At(dir, path);
    const int result = ForwardingPosix::UnlinkAt(dir, path, flags);
    if (result == 0) {
      Op op{Kind::kNoEntry, Of(dir)};
      op.other = node;
      op.name = path;
      Log(std::move(op));
    }
    return result;
  }
  int RenameAt2(int old_dir, const char* old_path, int dir, const char* path, unsigned flags) override {
    const std::lock_guard lock(mutex_);
    // rename(2): of two names of one file both stay.
    const bool nothing = flags == 0 && At(old_dir, old_path) == At(dir, path);
    const int result = ForwardingPosix::RenameAt2(old_dir, old_path, dir, path, flags);
    if (result == 0 && !nothing) {
      Op op{Kind::kRename, Of(old_dir), (flags & RENAME_EXCHANGE) != 0 ? uint64_t{1} : 0};
      op.other = Of(dir);
      op.name = old_path;
      op.text = path;
      Log(std::move(op));
    }
    return result;
  }

  // One outcome of a crash now.
  TreeImage Crash(std::mt19937_64& random) {
    const std::lock_guard lock(mutex_);
    TreeImage image = durable_;
    std::map<int, size_t> kept;  // of the journal of each inode
    for (const Op& op : ops_) {
      if (op.kind != Kind::kSector) ++kept[op.node];
    }
    const bool some = random() % 4 != 0;
    for (auto& [node, count] : kept) {
      if (random() % 3 != 0) count = std::uniform_int_distribution<size_t>(0, count)(random);
    }
    std::set<int> lost;  // inodes of whose journals something is not there
    for (const Op& op : ops_) {
      if (op.kind == Kind::kSector) {
        // To grow is a change of the journal too: not without what came before it.
        const bool grows = (op.first + 1) * store::kSectorSize > image[op.node].file.size;
        if (some && random() % 2 == 0 && !(grows && lost.contains(op.node))) Apply(op, image);
        continue;
      }
      const bool keep = !lost.contains(op.node) && !lost.contains(op.Second()) && kept[op.node] > 0;
      if (keep) {
        --kept[op.node];
        Apply(op, image);
      } else {
        lost.insert(op.node);
        if (op.Second() >= 0) lost.insert(op.Second());
      }
    }
    return image;
  }

  // Builds `image` in the empty directory `store`.
  static void Put(const TreeImage& image, const std::string& store) {
    std::map<int, std::string> made;
    PutBelow(image, 0, store, &made);
  }

 private:
  enum class Kind { kSector, kTruncate, kPunch, kAttribute, kNoAttribute, kMade, kEntry, kNoEntry, kRename };
  struct Op {
    Kind kind;
    int node = 0;
    uint64_t first = 0;
    uint64_t end = 0;
    int other = -1;
    std::string name = {};
    std::string text = {};
    char type = 'f';
    bool grows = false;

    // A rename is in two journals at once.
    int Second() const { return kind == Kind::kRename ? other : -1; }
    bool IsOfSize() const { return kind == Kind::kTruncate || kind == Kind::kPunch || grows; }
  };

  static ino_t NumberOf(const std::string& path) {
    struct stat st;
    return lstat(path.c_str(), &st) == 0 ? st.st_ino : 0;
  }
  int Of(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 ? numbers_.at(st.st_ino) : -1;
  }
  int At(int dir, const char* path) {
    struct stat st;
    const int flags = *path == '\0' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
    if (fstatat(dir, path, &st, flags) != 0) return -1;
    const auto found = numbers_.find(st.st_ino);
    return found == numbers_.end() ? -1 : found->second;
  }
  void Log(Op op) {
    if (op.kind == Kind::kTruncate) sectors_[op.node] = op.first / store::kSectorSize;
    ops_.push_back(std::move(op));
  }
  void Made(int dir, const char* path, char type, const std::string& target) {
    struct stat st;
    if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0) return;
    numbers_[st.st_ino] = next_;  // numbers of inodes are used again
    Op op{Kind::kMade, Of(dir)};
    op.other = next_++;
    op.name = path;
    op.text = target;
    op.type = type;
    Log(std::move(op));
  }

  void Scan(const std::string& path, int node) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const std::string below = entry.path().string();
      const auto [slot, fresh] = numbers_.try_emplace(NumberOf(below), next_);
      durable_[node].entries[entry.path().filename().string()] = slot->second;
      if (!fresh) continue;
      NodeImage& image = durable_[next_++];
      const int number = slot->second;
      if (entry.is_symlink()) {
        image.type = 'l';
        image.target = std::filesystem::read_symlink(entry).string();
        continue;
      }
      image.attributes = AttributesOf(below);
      if (entry.is_directory()) {
        image.type = 'd';
        Scan(below, number);
        continue;
      }
      const std::string content = ReadFile(below);
      image.file.size = content.size();
      sectors_[number] = content.size() / store::kSectorSize;
      for (uint64_t at = 0; at < content.size(); at += store::kSectorSize) {
        std::string sector = content.substr(at, store::kSectorSize);
        if (sector.find_first_not_of('\0') != std::string::npos) {
          image.file.sectors[at / store::kSectorSize] = std::move(sector);
        }
      }
    }
  }

  static void Apply(const Op& op, TreeImage& image) {
    NodeImage& node = image[op.node];
    switch (op.kind) {
      case Kind::kSector:
        node.file.sectors[op.first] = op.text;
        node.file.size = std::max(node.file.size, (op.first + 1) * store::kSectorSize);
        break;
      case Kind::kTruncate:
        node.file.Cut(op.first);
        break;
      case Kind::kPunch:
        node.file.Punch(op.first, op.end);
        break;
      case Kind::kAttribute:
        node.attributes[op.name] = op.text;
        break;
      case Kind::kNoAttribute:
        node.attributes.erase(op.name);
        break;
      case Kind::kMade:
        node.entries[op.name] = op.other;
        image[op.other].type = op.type;
        image[op.other].target = op.text;
        break;
      case Kind::kEntry:
        node.entries[op.name] = op.other;
        break;
      case Kind::kNoEntry:
        node.entries.erase(op.name);
        break;
      case Kind::kRename: {
        auto& to = image[op.other].entries;
        const int moved = image[op.node].entries.at(op.name);
        if (op.first != 0) {
          image[op.node].entries[op.name] = to.at(op.text);
        } else {
          image[op.node].entries.erase(op.name);
        }
        to[op.text] = moved;
      }
    }
  }

  int PinAll(int fd, bool data_only) {
    const std::lock_guard lock(mutex_);
    Pin(Of(fd), data_only, [](const Op&) { return true; });
    return 0;
  }

  // Of the sectors of `node` those that `which` says, and its journal, with what another one's lacks for it.
  template <typename Which>
  void Pin(int node, bool data_only, const Which& which) {
    std::map<int, size_t> must;  // of each journal the operations before this one
    for (size_t i = 0; i < ops_.size(); ++i) {
      if ((ops_[i].node == node || ops_[i].Second() == node) && (!data_only || ops_[i].IsOfSize()))
        must[node] = i + 1;
    }
    for (size_t i = ops_.size(); i-- > 0;) {
      const Op& op = ops_[i];
      if (op.Second() < 0 || (i >= must[op.node] && i >= must[op.Second()])) continue;
      must[op.node] = std::max(must[op.node], i + 1);
      must[op.Second()] = std::max(must[op.Second()], i + 1);
    }
    std::vector<Op> rest;
    for (size_t i = 0; i < ops_.size(); ++i) {
      Op& op = ops_[i];
      const bool sector = op.kind == Kind::kSector;
      if (sector ? op.node != node || !which(op) : i >= must[op.node]) {
        rest.push_back(std::move(op));
        continue;
      }
      // What this overwrote, cut off or punched does not come back.
      const uint64_t first = op.kind == Kind::kTruncate ? op.first / store::kSectorSize : op.first;
      const uint64_t end = op.kind == Kind::kTruncate ? UINT64_MAX : sector ? op.first + 1 : op.end;
      if (sector || op.IsOfSize()) {
        std::erase_if(rest, [&](const Op& old) {
          return old.kind == Kind::kSector && old.node == op.node && old.first >= first && old.first < end;
        });
      }
      Apply(op, durable_);
    }
    ops_ = std::move(rest);
  }

  static void PutBelow(const TreeImage& image, int number, const std::string& path,
                       std::map<int, std::string>* made) {
    static const NodeImage kBare;
    for (const auto& [name, child] : image.at(number).entries) {
      const std::string below = path + "/" + name;
      const auto [place, fresh] = made->try_emplace(child, below);
      if (!fresh) {
        std::filesystem::create_hard_link(place->second, below);
        continue;
      }
      // Of a file that was linked elsewhere, and made where that is lost, nothing may be there.
      const auto found = image.find(child);
      const NodeImage& node = found == image.end() ? kBare : found->second;
      if (node.type == 'l') {
        std::filesystem::create_symlink(node.target, below);
        continue;
      }
      if (node.type == 'd') {
        std::filesystem::create_directory(below);
        PutBelow(image, child, below, made);
      } else {
        WriteFile(below, "");
        const int fd = open(below.c_str(), O_RDWR | O_CLOEXEC);
        ASSERT_EQ(ftruncate(fd, static_cast<off_t>(node.file.size)), 0);
        for (const auto& [sector, bytes] : node.file.sectors) {
          ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(sector * store::kSectorSize)),
                    static_cast<ssize_t>(bytes.size()));
        }
        close(fd);
      }
      for (const auto& [attribute, value] : node.attributes) {
        ASSERT_EQ(setxattr(below.c_str(), attribute.c_str(), value.data(), value.size(), 0), 0) << below;
      }
    }
  }

  std::mutex mutex_;
  TreeImage durable_;
  std::map<ino_t, int> numbers_;
  int next_ = 0;
  std::map<int, uint64_t> sectors_;  // sizes now
  std::set<std::pair<int, uint64_t>> pinned_;
  std::vector<Op> ops_;  // not known to be durable
};

}  // namespace keyhold::testing
