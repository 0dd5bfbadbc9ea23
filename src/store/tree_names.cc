// Making, removing, renaming and listing: the operations that change or read directories.
#include <fcntl.h>
#include <linux/fs.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "store/directory.h"
#include "store/io.h"
#include "store/tree.h"

namespace keyhold::store {
namespace {

Status FromErrno(int result, const char* what) {
  return result >= 0 ? OkStatus() : ErrnoError(-result, what);
}

constexpr int kMakeFlags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOATIME;
// Side files, and what was being made.
bool IsOrphanPrefix(std::string_view prefix) { return prefix == "N." || prefix == "T."; }

constexpr size_t kLongestContent = 512;  // of a side file: a name of 255 bytes, padded and sealed, has 272

StatusOr<std::string> ContentOf(Posix& posix, int side) {
  std::string content(kLongestContent, '\0');
  KEYHOLD_ASSIGN_OR_RETURN(
      const size_t size,
      ReadFully(posix, side, {reinterpret_cast<uint8_t*>(content.data()), content.size()}, 0));
  content.resize(size);
  return content;
}

}  // namespace

// The side file of a long name stands, durably, before its entry does. One left by a crash is no entry. One
// that is whole is not written again: its entry may be there, and would have no name meanwhile.
Status Tree::WriteSide(int dir, const SealedName& sealed) {
  if (sealed.side.empty()) return OkStatus();
  const int fd =
      context_.posix.OpenAt(dir, sealed.side.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoError(-fd, "making a side file");
  const Descriptor file(context_.posix, fd);
  KEYHOLD_ASSIGN_OR_RETURN(const std::string there, ContentOf(context_.posix, fd));
  if (there != sealed.content) {
    KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FTruncate(fd, 0), "emptying a side file"));
    KEYHOLD_RETURN_IF_ERROR(WriteFully(context_.posix, fd, crypto::AsBytes(sealed.content), 0, 0));
  }
  return FromErrno(context_.posix.FSync(fd), "syncing a side file");
}

void Tree::RemoveSide(int dir, const SealedName& sealed) {
  struct stat st;
  if (sealed.side.empty()) return;
  if (context_.posix.FStatAt(dir, sealed.entry.c_str(), &st, AT_SYMLINK_NOFOLLOW) != -ENOENT) return;
  context_.posix.UnlinkAt(dir, sealed.side.c_str(), 0);
}

StatusOr<std::string> Tree::ReadSide(int dir, const std::string& side) {
  const int fd = context_.posix.OpenAt(dir, side.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd < 0) return ErrnoError(-fd, "opening a side file");
  const Descriptor file(context_.posix, fd);
  return ContentOf(context_.posix, fd);
}

// Under a name that is no entry: a crash leaves no half of it where somebody finds it.
StatusOr<std::string> Tree::MakeScratch(int dir, int unlink_flags,
                                        const std::function<Status(const char* scratch)>& make) {
  std::string scratch;
  Status made;
  do {  // until no earlier crash has left one of that name
    scratch = "T." + std::to_string(scratches_++);
    made = make(scratch.c_str());
  } while (ErrnoOf(made) == EEXIST);
  if (made.ok()) return scratch;
  context_.posix.UnlinkAt(dir, scratch.c_str(), unlink_flags);
  return made;
}

// It takes its name once it has all that it is to have.
Status Tree::MakeWhole(int dir, const char* entry, int unlink_flags,
                       const std::function<Status(const char* scratch)>& make) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string scratch, MakeScratch(dir, unlink_flags, make));
  const int result = context_.posix.RenameAt2(dir, scratch.c_str(), dir, entry, RENAME_NOREPLACE);
  if (result != 0) context_.posix.UnlinkAt(dir, scratch.c_str(), unlink_flags);
  return FromErrno(result, "naming what was made");
}

StatusOr<Entry> Tree::Make(Inode* parent, const std::string& name,
                           const std::function<Status(int dir, const char* entry)>& make, Fresh* fresh) {
  const std::shared_lock gate(gate_);
  KEYHOLD_ASSIGN_OR_RETURN(const Lease dir, inodes_.Open(parent));
  KEYHOLD_ASSIGN_OR_RETURN(const Names* names, NamesOf(parent, dir->get()));
  KEYHOLD_ASSIGN_OR_RETURN(const SealedName sealed, names->Seal(name));
  KEYHOLD_RETURN_IF_ERROR(WriteSide(dir->get(), sealed));
  if (const Status made = make(dir->get(), sealed.entry.c_str()); !made.ok()) {
    RemoveSide(dir->get(), sealed);
    return made;
  }
  return Finish(dir->get(), sealed, fresh);
}

// As mkdir(2) and open(2): in a directory with the set-group-id bit the new inode has that directory's group.
Status Tree::GiveTo(int dir, const char* entry, Owner owner) {
  struct stat parent;
  KEYHOLD_RETURN_IF_ERROR(
      FromErrno(context_.posix.FStatAt(dir, "", &parent, AT_EMPTY_PATH), "reading a directory"));
  const gid_t group = (parent.st_mode & S_ISGID) != 0 ? static_cast<gid_t>(-1) : owner.gid;
  return FromErrno(context_.posix.FChOwnAt(dir, entry, owner.uid, group, AT_SYMLINK_NOFOLLOW),
                   "giving an owner");
}

Status Tree::AdoptFile(int dir, const char* entry, const Identity& identity, mode_t mode, Owner owner,
                       Fresh* fresh) {
  const int fd = context_.posix.OpenAt(dir, entry, kMakeFlags, 0600);
  if (fd < 0) return ErrnoError(-fd, "making a file");
  fresh->lease = std::make_shared<Descriptor>(context_.posix, fd);
  KEYHOLD_ASSIGN_OR_RETURN(fresh->file, File::Create(context_, fd, identity, register_.get()));
  KEYHOLD_RETURN_IF_ERROR(GiveTo(dir, entry, owner));
  return FromErrno(context_.posix.FChMod(fd, mode & 07777), "giving a mode");
}

Status Tree::AdoptDirectory(int dir, const char* entry, const Identity& identity, mode_t mode, Owner owner) {
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.MkDirAt(dir, entry, 0700), "making a directory"));
  const int fd = context_.posix.OpenAt(dir, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd < 0) return ErrnoError(-fd, "opening a new directory");
  const Descriptor directory(context_.posix, fd);
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context_, fd, identity));
  KEYHOLD_RETURN_IF_ERROR(GiveTo(dir, entry, owner));
  struct stat st;
  KEYHOLD_RETURN_IF_ERROR(
      FromErrno(context_.posix.FStatAt(fd, "", &st, AT_EMPTY_PATH), "reading a directory"));
  return FromErrno(context_.posix.FChMod(fd, (mode & 07777) | (st.st_mode & S_ISGID)), "giving a mode");
}

StatusOr<Entry> Tree::MakeFile(Inode* parent, const std::string& name, mode_t mode, Owner owner) {
  Fresh fresh;
  const auto make = [&](int dir, const char* entry) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const Identity identity, register_->Enter(InodeKind::kFile));
    const Status made = MakeWhole(dir, entry, 0, [&](const char* scratch) {
      return AdoptFile(dir, scratch, identity, mode, owner, &fresh);
    });
    if (!made.ok()) NoteUnmade(parent, identity);
    return made;
  };
  return Make(parent, name, make, &fresh);
}

StatusOr<Entry> Tree::MakeDirectory(Inode* parent, const std::string& name, mode_t mode, Owner owner) {
  return Make(parent, name, [&](int dir, const char* entry) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const Identity identity, register_->Enter(InodeKind::kDirectory));
    const Status made = MakeWhole(dir, entry, AT_REMOVEDIR, [&](const char* scratch) {
      return AdoptDirectory(dir, scratch, identity, mode, owner);
    });
    if (!made.ok()) NoteUnmade(parent, identity);
    return made;
  });
}

StatusOr<Entry> Tree::MakeNode(Inode* parent, const std::string& name, mode_t mode, dev_t device,
                               Owner owner) {
  if (S_ISREG(mode)) return MakeFile(parent, name, mode, owner);
  return Make(parent, name, [&](int dir, const char* entry) {
    return MakeWhole(dir, entry, 0, [&](const char* scratch) {
      KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.MkNodAt(dir, scratch, mode, device), "making a node"));
      return GiveTo(dir, scratch, owner);
    });
  });
}

StatusOr<Entry> Tree::MakeSymlink(Inode* parent, const std::string& name, const std::string& target,
                                  Owner owner) {
  return Make(parent, name, [&](int dir, const char* entry) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string sealed, SealSmall(context_, "symlink", "", target));
    const std::string text = ToName(sealed);
    if (text.size() >= PATH_MAX) return ErrnoError(ENAMETOOLONG, "a link's target has at most 3,000 bytes");
    return MakeWhole(dir, entry, 0, [&](const char* scratch) {
      KEYHOLD_RETURN_IF_ERROR(
          FromErrno(context_.posix.SymlinkAt(text.c_str(), dir, scratch), "making a link"));
      return GiveTo(dir, scratch, owner);
    });
  });
}

StatusOr<Entry> Tree::MakeLink(Inode* inode, Inode* parent, const std::string& name) {
  return Make(parent, name, [&](int dir, const char* entry) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
    const int result = context_.posix.LinkAt(lease->get(), "", dir, entry, AT_EMPTY_PATH);
    if (result == 0) NoteMoved(parent, name);
    return FromErrno(result, "making a link");
  });
}

// What is open must stay readable when its last name goes.
StatusOr<Tree::Target> Tree::PinTarget(int dir, const char* entry) {
  struct stat st;
  if (const int result = context_.posix.FStatAt(dir, entry, &st, AT_SYMLINK_NOFOLLOW); result != 0) {
    return result == -ENOENT ? StatusOr<Target>(Target{}) : ErrnoError(-result, "looking up an entry");
  }
  Target target;
  target.inode = inodes_.Known(st);
  if (target.inode != nullptr) KEYHOLD_RETURN_IF_ERROR(inodes_.Pin(target.inode));
  if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return target;
  if (target.inode != nullptr) {
    KEYHOLD_ASSIGN_OR_RETURN(target.lease, inodes_.Open(target.inode));
    // In memory from now on: one that is open goes on when the register has no line of it any more.
    if (S_ISREG(st.st_mode)) (void)FileOf(target.inode, target.lease->get());
    return target;
  }
  const int fd = context_.posix.OpenAt(dir, entry, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd < 0) return target;  // its line stays
  target.lease = std::make_shared<Descriptor>(context_.posix, fd);
  return target;
}

Status Tree::Remove(Inode* parent, const std::string& name, int flags) {
  const std::shared_lock gate(gate_);
  KEYHOLD_ASSIGN_OR_RETURN(const Lease dir, inodes_.Open(parent));
  KEYHOLD_ASSIGN_OR_RETURN(const Names* names, NamesOf(parent, dir->get()));
  KEYHOLD_ASSIGN_OR_RETURN(const SealedName sealed, names->Seal(name));
  KEYHOLD_ASSIGN_OR_RETURN(const Target target, PinTarget(dir->get(), sealed.entry.c_str()));
  int result = context_.posix.UnlinkAt(dir->get(), sealed.entry.c_str(), flags);
  if (result == -ENOTEMPTY && flags == AT_REMOVEDIR) {
    KEYHOLD_RETURN_IF_ERROR(RemoveOrphans(dir->get(), sealed.entry.c_str()));
    result = context_.posix.UnlinkAt(dir->get(), sealed.entry.c_str(), flags);
  }
  KEYHOLD_RETURN_IF_ERROR(FromErrno(result, "removing an entry"));
  NoteRemovedFrom(parent);
  NoteGone(target);
  RemoveSide(dir->get(), sealed);
  return OkStatus();
}

Status Tree::Unlink(Inode* parent, const std::string& name) { return Remove(parent, name, 0); }

Status Tree::RemoveDirectory(Inode* parent, const std::string& name) {
  return Remove(parent, name, AT_REMOVEDIR);
}

// What a crash left behind must not keep a directory from being removed.
Status Tree::RemoveOrphans(int parent, const char* entry) {
  const int fd = context_.posix.OpenAt(parent, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd < 0) return ErrnoError(-fd, "opening a directory");
  const Descriptor directory(context_.posix, fd);
  std::vector<std::string> sides;
  bool only_sides = true;
  KEYHOLD_RETURN_IF_ERROR(EachEntry(context_.posix, fd, [&](std::string_view found, ino_t, unsigned char) {
    only_sides = IsOrphanPrefix(found.substr(0, 2));
    sides.emplace_back(found);
    return only_sides;
  }));
  if (!only_sides) return ErrnoError(ENOTEMPTY, "removing a directory");
  for (const std::string& side : sides) context_.posix.UnlinkAt(fd, side.c_str(), 0);
  return OkStatus();
}

Status Tree::Rename(Inode* parent, const std::string& name, Inode* new_parent, const std::string& new_name,
                    unsigned flags) {
  const std::shared_lock gate(gate_);
  KEYHOLD_ASSIGN_OR_RETURN(const Lease from_dir, inodes_.Open(parent));
  KEYHOLD_ASSIGN_OR_RETURN(const Lease to_dir, inodes_.Open(new_parent));
  KEYHOLD_ASSIGN_OR_RETURN(const Names* from_names, NamesOf(parent, from_dir->get()));
  KEYHOLD_ASSIGN_OR_RETURN(const Names* to_names, NamesOf(new_parent, to_dir->get()));
  KEYHOLD_ASSIGN_OR_RETURN(const SealedName from, from_names->Seal(name));
  KEYHOLD_ASSIGN_OR_RETURN(const SealedName to, to_names->Seal(new_name));
  KEYHOLD_ASSIGN_OR_RETURN(const Target target, PinTarget(to_dir->get(), to.entry.c_str()));
  KEYHOLD_RETURN_IF_ERROR(WriteSide(to_dir->get(), to));
  int result =
      context_.posix.RenameAt2(from_dir->get(), from.entry.c_str(), to_dir->get(), to.entry.c_str(), flags);
  if (result == -ENOTEMPTY || result == -EEXIST) {
    if (flags == 0 && RemoveOrphans(to_dir->get(), to.entry.c_str()).ok()) {
      result = context_.posix.RenameAt2(from_dir->get(), from.entry.c_str(), to_dir->get(), to.entry.c_str(),
                                        flags);
    }
  }
  if (result == 0) {
    NoteRemovedFrom(parent);
    NoteRemovedFrom(new_parent);
    if (flags == 0) NoteGone(target);
    NoteMoved(new_parent, new_name);
    if ((flags & RENAME_EXCHANGE) != 0) NoteMoved(parent, name);
  }
  RemoveSide(result == 0 ? from_dir->get() : to_dir->get(), result == 0 ? from : to);
  return FromErrno(result, "renaming");
}

// The plaintext name of an entry; kNotFound when it is none of this directory's.
StatusOr<std::string> Tree::NameOf(int dir, const Names& names, std::string_view entry) {
  std::optional<std::string> name;
  if (const auto side = Names::SideOf(entry)) {
    const auto content = ReadSide(dir, *side);
    if (content.ok()) name = names.OpenContent(entry, *content);
  } else {
    name = names.Open(entry);
  }
  if (!name.has_value()) return Error(Cause::kNotFound, "an entry's name does not authenticate");
  return *std::move(name);
}

StatusOr<std::vector<Listed>> Tree::List(Inode* directory) {
  const std::shared_lock gate(gate_);
  KEYHOLD_ASSIGN_OR_RETURN(const Lease dir, inodes_.Open(directory));
  KEYHOLD_ASSIGN_OR_RETURN(const Names* names, NamesOf(directory, dir->get()));
  std::vector<Listed> all;
  KEYHOLD_RETURN_IF_ERROR(
      EachEntry(context_.posix, dir->get(), [&](std::string_view entry, ino_t number, unsigned char type) {
        auto name = NameOf(dir->get(), *names, entry);
        if (name.ok()) all.push_back({*std::move(name), number, type});
        return true;
      }));
  return all;
}

}  // namespace keyhold::store
