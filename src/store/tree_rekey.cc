// Names, links' targets and extended attributes go over to another data key.
//
// The names of a directory (or of an inode's attributes) are all under its identity's key. While they move,
// the identity names both keys, so that a crash leaves them readable: whoever opens the inode next moves the
// rest.
#include <linux/fs.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstring>

#include "store/bytes.h"
#include "store/directory.h"
#include "store/tree.h"

namespace keyhold::store {
namespace {

constexpr std::string_view kAttributePrefix = "user.k.";

Status FromErrno(int result, const char* what) {
  return result >= 0 ? OkStatus() : ErrnoError(-result, what);
}

Identity Under(Identity identity, DataKeyId key) {
  identity.key = key;
  return identity;
}

DataKeyId KeyOfSmall(std::string_view sealed) {
  return sealed.size() < sizeof(DataKeyId) ? 0 : Load<uint32_t>(crypto::AsBytes(sealed).data());
}

// A directory's time of modification stays, whatever is done to its entries meanwhile.
class KeptTimes {
 public:
  KeptTimes(Posix& posix, int fd)
      : posix_(posix), fd_(fd), known_(posix.FStatAt(fd, "", &st_, AT_EMPTY_PATH) == 0) {}
  ~KeptTimes() {
    const timespec times[2] = {{0, UTIME_OMIT}, st_.st_mtim};
    if (known_) posix_.UTimeNsAt(fd_, "", times, AT_EMPTY_PATH);
  }
  KeptTimes(const KeptTimes&) = delete;
  KeptTimes& operator=(const KeptTimes&) = delete;

 private:
  Posix& posix_;
  const int fd_;
  struct stat st_ {};
  const bool known_;
};

}  // namespace

StatusOr<std::vector<std::pair<std::string, std::string>>> BackingAttributes(Posix& posix, int fd) {
  std::string list(XATTR_LIST_MAX, '\0');
  const ssize_t size = posix.FListXAttr(fd, list.data(), list.size());
  if (size < 0) return ErrnoError(static_cast<int>(-size), "listing extended attributes");
  std::vector<std::pair<std::string, std::string>> all;
  for (const char* at = list.data(); at < list.data() + size; at += std::string_view(at).size() + 1) {
    if (std::string_view(at).substr(0, kAttributePrefix.size()) != kAttributePrefix) continue;
    std::string value(XATTR_SIZE_MAX, '\0');
    const ssize_t length = posix.FGetXAttr(fd, at, value.data(), value.size());
    if (length < 0) return ErrnoError(static_cast<int>(-length), "reading an extended attribute");
    value.resize(static_cast<size_t>(length));
    all.emplace_back(at, std::move(value));
  }
  return all;
}

void Tree::NoteMoved(Inode* parent, const std::string& name) {
  const std::lock_guard lock(moved_mutex_);
  if (!watching_) return;
  inodes_.Keep(parent);
  moved_.push_back({parent, name});
}

// From `from` to identity.key; `identity`, which names both, is durable, and directory->mutex is held.
Status Tree::MoveNames(Inode* directory, int fd, const Identity& identity, DataKeyId from) {
  const KeptTimes kept(context_.posix, fd);
  KEYHOLD_ASSIGN_OR_RETURN(const Names old_names, Names::Of(context_, Under(identity, from)));
  KEYHOLD_ASSIGN_OR_RETURN(Names new_names, Names::Of(context_, identity));
  std::vector<std::string> entries;
  KEYHOLD_RETURN_IF_ERROR(EachEntry(context_.posix, fd, [&](std::string_view entry, ino_t, unsigned char) {
    entries.emplace_back(entry);
    return true;
  }));
  for (const std::string& entry : entries) {
    KEYHOLD_RETURN_IF_ERROR(MoveEntry(fd, old_names, new_names, entry));
  }
  KEYHOLD_RETURN_IF_ERROR(MoveAttributes(fd, identity, from).status());
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FSync(fd), "syncing a directory"));
  Identity done = identity;
  done.previous = 0;
  ++done.counter;
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context_, fd, done));
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FSync(fd), "syncing a directory"));
  register_->Raise(done.id, 0, done.counter);
  directory->directory = done;
  directory->names = std::make_unique<Names>(std::move(new_names));
  return OkStatus();
}

// An entry that is not under the old key was moved before, or is none of ours.
Status Tree::MoveEntry(int fd, const Names& from, const Names& to, const std::string& entry) {
  const auto name = NameOf(fd, from, entry);
  if (!name.ok()) return OkStatus();
  KEYHOLD_ASSIGN_OR_RETURN(const SealedName sealed, to.Seal(*name));
  KEYHOLD_RETURN_IF_ERROR(WriteSide(fd, sealed));
  const int result = context_.posix.RenameAt2(fd, entry.c_str(), fd, sealed.entry.c_str(), RENAME_NOREPLACE);
  KEYHOLD_RETURN_IF_ERROR(FromErrno(result, "renaming an entry to another data key"));
  if (const auto side = Names::SideOf(entry)) context_.posix.UnlinkAt(fd, side->c_str(), 0);
  return OkStatus();
}

// Names from `from` to identity.key, values to the active key. True when there was something to do.
StatusOr<bool> Tree::MoveAttributes(int fd, const Identity& identity, DataKeyId from) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto attributes, BackingAttributes(context_.posix, fd));
  if (attributes.empty()) return false;
  KEYHOLD_ASSIGN_OR_RETURN(const Names old_names, Names::Of(context_, Under(identity, from)));
  KEYHOLD_ASSIGN_OR_RETURN(const Names new_names, Names::Of(context_, identity));
  bool changed = false;
  for (const auto& [backing, sealed] : attributes) {
    const std::string_view entry = std::string_view(backing).substr(kAttributePrefix.size());
    auto name = old_names.Open(entry);
    if (!name.has_value()) name = new_names.Open(entry);
    if (!name.has_value()) continue;
    KEYHOLD_ASSIGN_OR_RETURN(const SealedName new_name, new_names.Seal(*name));
    const std::string target = std::string(kAttributePrefix) + new_name.entry;
    if (target == backing && KeyOfSmall(sealed) == context_.keys.Active()) continue;
    KEYHOLD_ASSIGN_OR_RETURN(const std::string value, OpenSmall(context_, "attribute", backing, sealed));
    KEYHOLD_ASSIGN_OR_RETURN(const std::string fresh, SealSmall(context_, "attribute", target, value));
    KEYHOLD_RETURN_IF_ERROR(
        FromErrno(context_.posix.FSetXAttr(fd, target.c_str(), fresh.data(), fresh.size(), 0),
                  "moving an extended attribute to another data key"));
    if (target != backing) {
      KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FRemoveXAttr(fd, backing.c_str()),
                                        "moving an extended attribute to another data key"));
    }
    changed = true;
  }
  return changed;
}

Status Tree::FinishMoves(File& file, int fd) {
  const Identity identity = file.identity();
  KEYHOLD_RETURN_IF_ERROR(MoveAttributes(fd, identity, identity.previous).status());
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FSync(fd), "syncing a backing file"));
  return file.SetKeys(fd, identity.key, 0);
}

// True when something was moved. Where it fails, the next who opens the directory goes on.
StatusOr<bool> Tree::RekeyDirectory(Inode* directory, int fd) {
  const std::unique_lock gate(gate_);
  const std::lock_guard lock(directory->mutex);
  const DataKeyId active = context_.keys.Active();
  Identity identity = *directory->directory;
  if (identity.key == active) return MoveAttributes(fd, identity, active);
  identity.previous = std::exchange(identity.key, active);
  ++identity.counter;
  directory->names.reset();
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context_, fd, identity));
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FSync(fd), "syncing a directory"));
  KEYHOLD_RETURN_IF_ERROR(MoveNames(directory, fd, identity, identity.previous));
  return true;
}

// A file's attributes and identity. Durable with the file's next sync.
StatusOr<bool> Tree::RekeyAttributes(Inode* inode, int fd) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto file, FileOf(inode, fd));
  const std::unique_lock gate(gate_);
  const DataKeyId active = context_.keys.Active();
  const Identity identity = file->identity();
  if (identity.key == active) return MoveAttributes(fd, identity, active);
  KEYHOLD_ASSIGN_OR_RETURN(const auto attributes, BackingAttributes(context_.posix, fd));
  KEYHOLD_RETURN_IF_ERROR(file->SetKeys(fd, active, attributes.empty() ? 0 : identity.key));
  if (attributes.empty()) return true;
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FSync(fd), "syncing a backing file"));
  KEYHOLD_RETURN_IF_ERROR(FinishMoves(*file, fd));
  return true;
}

StatusOr<DataKeyId> Tree::KeyOfLink(int fd) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string sealed, SealedTargetOf(fd));
  return KeyOfSmall(sealed);
}

// A link's target cannot be changed: another link takes its place, with its owner and times. Of a link with
// several names each gets a link of its own.
StatusOr<bool> Tree::RekeyLink(Inode* link, int dir, const char* entry) {
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(link));
  const std::unique_lock gate(gate_);
  const KeptTimes kept(context_.posix, dir);
  struct stat st;
  if (context_.posix.FStatAt(dir, entry, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_ino != link->key.number) {
    return false;  // it was moved or removed meanwhile
  }
  KEYHOLD_ASSIGN_OR_RETURN(const std::string target, TargetOf(lease->get()));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string sealed, SealSmall(context_, "symlink", "", target));
  const auto make = [&](const char* scratch) {
    const timespec times[2] = {st.st_atim, st.st_mtim};
    int result = context_.posix.SymlinkAt(ToName(sealed).c_str(), dir, scratch);
    if (result == 0)
      result = context_.posix.FChOwnAt(dir, scratch, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
    if (result == 0) result = context_.posix.UTimeNsAt(dir, scratch, times, AT_SYMLINK_NOFOLLOW);
    return FromErrno(result, "making a link");
  };
  KEYHOLD_ASSIGN_OR_RETURN(const std::string scratch, MakeScratch(dir, 0, make));
  if (const int result = context_.posix.RenameAt2(dir, scratch.c_str(), dir, entry, 0); result != 0) {
    context_.posix.UnlinkAt(dir, scratch.c_str(), 0);
    return ErrnoError(-result, "replacing a link");
  }
  KEYHOLD_RETURN_IF_ERROR(inodes_.Replace(link, dir, entry));
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FSync(dir), "syncing a directory"));
  return true;
}

}  // namespace keyhold::store
