#include "store/tree.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>

#include "store/directory.h"
#include "store/io.h"

namespace keyhold::store {
namespace {

constexpr char kRoot[] = "root";
constexpr uint64_t kLoggedCorruptions = 1000;

Status FromErrno(int result, const char* what) {
  return result >= 0 ? OkStatus() : ErrnoError(-result, what);
}

}  // namespace

StatusOr<std::unique_ptr<Tree>> Tree::OpenRoot(const Context& context, int store, size_t open_descriptors) {
  int fd = context.posix.OpenAt(store, kRoot, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd == -ENOENT) {
    KEYHOLD_RETURN_IF_ERROR(FromErrno(context.posix.MkDirAt(store, kRoot, 0755), "making the store's root"));
    fd = context.posix.OpenAt(store, kRoot, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
  }
  if (fd < 0) return ErrnoError(-fd, "opening the store's root");
  return std::unique_ptr<Tree>(
      new Tree(context, store, std::make_shared<Descriptor>(context.posix, fd), open_descriptors));
}

StatusOr<std::unique_ptr<Tree>> Tree::Open(const Context& context, int store, size_t open_descriptors,
                                           uint64_t min_generation) {
  KEYHOLD_ASSIGN_OR_RETURN(auto tree, OpenRoot(context, store, open_descriptors));
  KEYHOLD_ASSIGN_OR_RETURN(auto lines, Register::Open(context, store));
  KEYHOLD_RETURN_IF_ERROR(tree->FitRegister(*lines, min_generation));
  KEYHOLD_RETURN_IF_ERROR(tree->Start(std::move(lines)));
  return tree;
}

StatusOr<std::unique_ptr<Tree>> Tree::OpenAnew(const Context& context, int store, size_t open_descriptors) {
  KEYHOLD_ASSIGN_OR_RETURN(auto tree, OpenRoot(context, store, open_descriptors));
  KEYHOLD_ASSIGN_OR_RETURN(auto lines, Register::Anew(context, store));
  const Status started = tree->Start(std::move(lines));
  if (started.ok()) return tree;
  tree->Abandon();
  return started;
}

Tree::Tree(const Context& context, int store, Lease root, size_t open_descriptors)
    : context_(context),
      store_(store),
      root_lease_(std::move(root)),
      inodes_(context_.posix, root_lease_->get(), open_descriptors) {}

Status Tree::Start(std::unique_ptr<Register> lines) {
  struct stat st;
  KEYHOLD_ASSIGN_OR_RETURN(root_, inodes_.Find(root_lease_->get(), "", &st));
  register_ = std::move(lines);
  const auto names = NamesOf(root_, root_lease_->get());
  if (!names.ok()) return Annotate(names.status(), "the store's root");
  register_->SetRoot(root_->directory->id);
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FSync(root_lease_->get()), "syncing the store's root"));
  return FromErrno(context_.posix.FSync(store_), "syncing the store's directory");
}

Tree::~Tree() {
  if (root_ == nullptr || root_->directory == std::nullopt || closed_) return;  // it was never opened
  if (const Status closed = Close(); !closed.ok()) spdlog::warn("store: {}", std::string(closed.message()));
}

Status Tree::Count(const Inode* inode, Status status) {
  if (status.ok() || CauseOf(status) != Cause::kCorrupt) return status;
  if (corrupt_++ < kLoggedCorruptions) {
    spdlog::error("store: backing inode {}: {}", inode->key.number, std::string(status.message()));
  }
  return status;
}

// A crash between the making of an inode and of its identity leaves an empty one without: it gets its
// identity now.
StatusOr<std::shared_ptr<File>> Tree::FileOf(Inode* inode, int fd) {
  const std::lock_guard lock(inode->mutex);
  if (inode->file != nullptr) return inode->file;
  struct stat st;
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FStatAt(fd, "", &st, AT_EMPTY_PATH), "reading an inode"));
  const bool bare =
      st.st_size == 0 && context_.posix.FGetXAttr(fd, kIdentityAttribute, nullptr, 0) == -ENODATA;
  std::unique_ptr<File> file;
  if (bare) {
    KEYHOLD_ASSIGN_OR_RETURN(const Identity identity, register_->Enter(InodeKind::kFile));
    KEYHOLD_ASSIGN_OR_RETURN(file, File::Create(context_, fd, identity, register_.get()));
  } else {
    KEYHOLD_ASSIGN_OR_RETURN(file, File::Open(context_, fd, register_.get()));
  }
  if (file->identity().previous != 0) KEYHOLD_RETURN_IF_ERROR(FinishMoves(*file, fd));
  inode->file = std::move(file);
  inodes_.NoteLoaded(inode);
  return inode->file;
}

// The same of a directory.
StatusOr<Identity> Tree::DirectoryIdentity(Inode* directory, int fd) {
  auto found = ReadIdentity(context_, fd, InodeKind::kDirectory);
  if (found.ok()) {
    KEYHOLD_RETURN_IF_ERROR(register_->Check(*found).status());
    return found;
  }
  if (context_.posix.FGetXAttr(fd, kIdentityAttribute, nullptr, 0) != -ENODATA) return found;
  KEYHOLD_ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(context_.posix, fd));
  if (!empty) return found;
  KEYHOLD_ASSIGN_OR_RETURN(Identity made, register_->Enter(InodeKind::kDirectory));
  made.registered = directory == root_;
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context_, fd, made));
  return made;
}

StatusOr<const Names*> Tree::NamesOf(Inode* directory, int fd) {
  const std::lock_guard lock(directory->mutex);
  if (directory->names != nullptr) return directory->names.get();
  auto identity = DirectoryIdentity(directory, fd);
  if (!identity.ok()) return std::move(identity).status();
  if (identity->previous != 0) {
    KEYHOLD_RETURN_IF_ERROR(MoveNames(directory, fd, *identity, identity->previous));
    return directory->names.get();
  }
  KEYHOLD_ASSIGN_OR_RETURN(Names names, Names::Of(context_, *identity));
  directory->directory = *identity;
  directory->names = std::make_unique<Names>(std::move(names));
  return directory->names.get();
}

StatusOr<Entry> Tree::Lookup(Inode* parent, const std::string& name) {
  const std::shared_lock gate(gate_);
  return LookUpLocked(parent, name);
}

StatusOr<Entry> Tree::LookUpLocked(Inode* parent, const std::string& name) {
  KEYHOLD_ASSIGN_OR_RETURN(const Lease dir, inodes_.Open(parent));
  auto names = NamesOf(parent, dir->get());
  if (!names.ok()) return Count(parent, names.status());
  KEYHOLD_ASSIGN_OR_RETURN(const SealedName sealed, (*names)->Seal(name));
  return Finish(dir->get(), sealed);
}

// The inode behind an entry that is there, with its attributes.
StatusOr<Entry> Tree::Finish(int dir, const SealedName& sealed, Fresh* fresh) {
  Entry entry;
  KEYHOLD_ASSIGN_OR_RETURN(entry.inode, inodes_.Find(dir, sealed.entry.c_str(), &entry.st));
  const Status sized = [&]() -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, fresh == nullptr ? inodes_.Open(entry.inode)
                                                                 : inodes_.Lend(entry.inode, fresh->lease));
    if (fresh != nullptr) {
      const std::lock_guard lock(entry.inode->mutex);
      if (entry.inode->file == nullptr) {
        entry.inode->file = std::move(fresh->file);
        inodes_.NoteLoaded(entry.inode);
      }
    }
    return Count(entry.inode, SetSize(entry.inode, lease->get(), &entry.st));
  }();
  if (!sized.ok()) {
    Forget(entry.inode, 1);
    return sized;
  }
  return entry;
}

// Sealing needs the inode to be there still: one with a file that is not settled lingers. What has no name
// left goes with its last lookup.
void Tree::Forget(Inode* inode, uint64_t count) {
  if (inodes_.ForgetUnlessLast(inode, count)) return;
  if (IsWorthKeeping(inode)) {
    inodes_.Linger(inode);
  } else {
    inodes_.EndLingering(inode);
  }
  inodes_.Forget(inode, count);
}

bool Tree::IsWorthKeeping(Inode* inode) {
  const std::shared_ptr<File> file = LoadedFileOf(inode);
  if (file == nullptr || file->IsSettled()) return false;
  const auto lease = inodes_.Open(inode);
  return lease.ok() && HasName((*lease)->get());
}

std::shared_ptr<File> Tree::LoadedFileOf(Inode* inode) {
  const std::lock_guard lock(inode->mutex);
  return inode->file;
}

bool Tree::HasName(int fd) {
  struct stat st;
  return context_.posix.FStatAt(fd, "", &st, AT_EMPTY_PATH) != 0 || st.st_nlink != 0;
}

StatusOr<std::string> Tree::SealedTargetOf(int fd) {
  char sealed[PATH_MAX];
  const ssize_t size = context_.posix.ReadLinkAt(fd, "", sealed, sizeof sealed);
  if (size < 0) return ErrnoError(static_cast<int>(-size), "reading a link");
  const auto bytes = FromName(std::string_view(sealed, static_cast<size_t>(size)));
  if (!bytes.has_value()) return Error(Cause::kCorrupt, "a symbolic link's target is not sealed");
  return *bytes;
}

StatusOr<std::string> Tree::TargetOf(int fd) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string sealed, SealedTargetOf(fd));
  return OpenSmall(context_, "symlink", "", sealed);
}

StatusOr<std::string> Tree::ReadLink(Inode* inode) {
  const std::shared_lock gate(gate_);
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  auto target = TargetOf(lease->get());
  if (!target.ok()) return Count(inode, target.status());
  return target;
}

StatusOr<struct stat> Tree::StatOf(Inode* inode, int fd) {
  struct stat st;
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FStatAt(fd, "", &st, AT_EMPTY_PATH), "reading an inode"));
  KEYHOLD_RETURN_IF_ERROR(SetSize(inode, fd, &st));
  return st;
}

// The size that users see, in place of the backing inode's.
Status Tree::SetSize(Inode* inode, int fd, struct stat* st) {
  if (S_ISREG(st->st_mode)) {
    KEYHOLD_ASSIGN_OR_RETURN(const auto file, FileOf(inode, fd));
    st->st_size = static_cast<off_t>(file->size());
  } else if (S_ISLNK(st->st_mode)) {
    KEYHOLD_ASSIGN_OR_RETURN(const std::string target, TargetOf(fd));
    st->st_size = static_cast<off_t>(target.size());
  }
  return OkStatus();
}

StatusOr<struct stat> Tree::Attributes(Inode* inode) {
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  auto st = StatOf(inode, lease->get());
  if (!st.ok()) return Count(inode, st.status());
  return st;
}

Status Tree::SetOwner(const Change& change, int fd) {
  if (!change.uid.has_value() && !change.gid.has_value()) return OkStatus();
  const int result =
      context_.posix.FChOwnAt(fd, "", change.uid.value_or(-1), change.gid.value_or(-1), AT_EMPTY_PATH);
  return FromErrno(result, "changing an owner");
}

Status Tree::SetTimes(Inode* inode, const Change& change, int fd) {
  if (!change.accessed.has_value() && !change.modified.has_value()) return OkStatus();
  constexpr timespec kOmit{0, UTIME_OMIT};
  const timespec times[2] = {change.accessed.value_or(kOmit), change.modified.value_or(kOmit)};
  if (S_ISREG(inode->type)) {
    KEYHOLD_ASSIGN_OR_RETURN(const auto file, FileOf(inode, fd));
    return file->SetTimes(fd, times);
  }
  return FromErrno(context_.posix.UTimeNsAt(fd, "", times, AT_EMPTY_PATH), "changing times");
}

StatusOr<struct stat> Tree::SetAttributes(Inode* inode, const Change& change) {
  std::shared_lock gate(gate_, std::defer_lock);
  if (S_ISLNK(inode->type)) gate.lock();
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  const int fd = lease->get();
  if (change.size.has_value()) {
    auto file = FileOf(inode, fd);
    if (!file.ok()) return Count(inode, file.status());
    KEYHOLD_RETURN_IF_ERROR(Count(inode, (*file)->Truncate(fd, *change.size)));
  }
  // Owner first: changing it takes the set-user-id bits away, which a mode given with it means to keep.
  KEYHOLD_RETURN_IF_ERROR(SetOwner(change, fd));
  if (change.mode.has_value()) {
    const int result = context_.posix.FChMod(fd, *change.mode & 07777);
    KEYHOLD_RETURN_IF_ERROR(FromErrno(result == -EBADF ? -EOPNOTSUPP : result, "changing a mode"));
  }
  KEYHOLD_RETURN_IF_ERROR(Count(inode, SetTimes(inode, change, fd)));
  auto st = StatOf(inode, fd);
  if (!st.ok()) return Count(inode, st.status());
  return st;
}

void Tree::Opened(Inode* inode) {
  const std::lock_guard lock(inode->mutex);
  ++inode->opens;
}

void Tree::Closed(Inode* inode) {
  const std::lock_guard lock(inode->mutex);
  if (--inode->opens == 0 && inode->file != nullptr) inode->file->Rest();
}

StatusOr<size_t> Tree::Read(Inode* inode, uint64_t offset, crypto::MutableBytes out) {
  Asked();
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  KEYHOLD_ASSIGN_OR_RETURN(const auto file, FileOf(inode, lease->get()));
  auto got = file->Read(lease->get(), offset, out);
  if (!got.ok()) return Count(inode, got.status());
  return got;
}

Status Tree::Write(Inode* inode, uint64_t offset, crypto::Bytes in, Durability durability) {
  Asked();
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  KEYHOLD_ASSIGN_OR_RETURN(const auto file, FileOf(inode, lease->get()));
  return Count(inode, file->Write(lease->get(), offset, in, durability));
}

Status Tree::Allocate(Inode* inode, int mode, uint64_t offset, uint64_t size) {
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  KEYHOLD_ASSIGN_OR_RETURN(const auto file, FileOf(inode, lease->get()));
  return Count(inode, file->Allocate(lease->get(), mode, offset, size));
}

StatusOr<uint64_t> Tree::Seek(Inode* inode, uint64_t offset, Whence whence) {
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  KEYHOLD_ASSIGN_OR_RETURN(const auto file, FileOf(inode, lease->get()));
  return file->Seek(lease->get(), offset, whence);
}

Status Tree::Sync(Inode* inode, bool data_only) {
  Asked();
  KEYHOLD_ASSIGN_OR_RETURN(const Lease lease, inodes_.Open(inode));
  if (!S_ISREG(inode->type)) return FromErrno(context_.posix.FSync(lease->get()), "syncing a directory");
  KEYHOLD_ASSIGN_OR_RETURN(const auto file, FileOf(inode, lease->get()));
  return Count(inode, file->Sync(lease->get(), data_only));
}

StatusOr<struct statvfs> Tree::Space() {
  struct statvfs space;
  KEYHOLD_RETURN_IF_ERROR(
      FromErrno(context_.posix.StatVFs(root_lease_->get(), &space), "reading free space"));
  space.f_namemax = kLongestName;
  return space;
}

}  // namespace keyhold::store
