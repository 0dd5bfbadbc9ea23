// What the register is told, and in which order: a line speaks of what is durable, and goes only when the end
// of what it is of is durable.
#include <cerrno>
#include <optional>

#include "store/tree.h"

namespace keyhold::store {
namespace {

// What was found newer than its line, as a process that was killed leaves it, is caught up with so many at a
// time: they may be all files of a large store.
constexpr size_t kFoundAtATime = 256;

Status FromErrno(int result, const char* what) {
  return result >= 0 ? OkStatus() : ErrnoError(-result, what);
}

bool IsGone(const Status& status) { return ErrnoOf(status) == ESTALE || ErrnoOf(status) == ENOENT; }

}  // namespace

// A root without identity is a new store's, unless a register says otherwise; one that knows of no register
// is from before there were any, and its generation stands elsewhere.
Status Tree::FitRegister(Register& found, uint64_t min_generation) {
  const int fd = root_lease_->get();
  const bool bare = context_.posix.FGetXAttr(fd, kIdentityAttribute, nullptr, 0) == -ENODATA;
  Identity root;
  if (!bare) {
    KEYHOLD_ASSIGN_OR_RETURN(root, ReadIdentity(context_, fd, InodeKind::kDirectory));
  }
  if (found.number() == 0) {
    if (root.registered) {
      return Error(Cause::kCorrupt, "the store's register is gone: put the latest store back");
    }
    if (bare) return CheckGeneration(0, min_generation);
    found.TakeInAll();
    return OkStatus();
  }
  KEYHOLD_RETURN_IF_ERROR(CheckGeneration(found.number(), min_generation));
  if (found.root() == FileId{} || found.root() == root.id) return OkStatus();
  return Error(Cause::kCorrupt,
               "the store's root is not the one that its register names: put the latest store back");
}

// Nothing for what is damaged: its line stays.
std::optional<FileId> Tree::IdOf(const Target& target, InodeKind kind) {
  if (target.inode != nullptr) {
    const std::shared_ptr<File> file = LoadedFileOf(target.inode);
    if (file != nullptr) return file->id();
  }
  const auto identity = ReadIdentity(context_, target.lease->get(), kind);
  return identity.ok() ? std::optional<FileId>(identity->id) : std::nullopt;
}

// The target of an entry that was just removed or replaced. What has another name stays, and so does what was
// renamed over itself.
void Tree::NoteGone(const Target& target) {
  struct stat st;
  if (target.lease == nullptr) return;
  const int fd = target.lease->get();
  if (context_.posix.FStatAt(fd, "", &st, AT_EMPTY_PATH) != 0) return;
  if (st.st_nlink != 0) return;
  const bool directory = S_ISDIR(st.st_mode);
  const std::optional<FileId> id = IdOf(target, directory ? InodeKind::kDirectory : InodeKind::kFile);
  bool noted = false;
  {
    const std::lock_guard lock(removals_mutex_);
    if (id.has_value()) gone_.push_back(*id);
    // What was removed from it before is as gone as the directory itself.
    noted = directory && target.inode != nullptr && removed_from_.erase(target.inode) != 0;
  }
  if (noted) Forget(target.inode, 1);
}

// Making it failed: what there is of it was removed again.
void Tree::NoteUnmade(Inode* parent, const Identity& identity) {
  NoteRemovedFrom(parent);
  const std::lock_guard lock(removals_mutex_);
  gone_.push_back(identity.id);
}

void Tree::NoteRemovedFrom(Inode* directory) {
  const std::lock_guard lock(removals_mutex_);
  if (removed_from_.insert(directory).second) inodes_.Keep(directory);
}

Status Tree::SettleFiles() {
  size_t found = 0;
  std::vector<Loaded> behind;
  for (Loaded& loaded : LoadedFiles()) {
    const File::Lag lag = loaded.file->RegisterLag();
    if (lag == File::Lag::kWritten || (lag == File::Lag::kFound && ++found <= kFoundAtATime)) {
      behind.push_back(std::move(loaded));
    } else {
      Forget(loaded.inode, 1);
    }
  }
  const Status status = SyncTogether(behind);
  for (const Loaded& loaded : behind) Forget(loaded.inode, 1);
  return status;
}

// Lines go when every directory is durable from which something was removed. A directory that is gone itself
// was removed from another one, which is noted by now: the next time, then.
Status Tree::SettleRemovals() {
  std::set<Inode*> directories;
  std::vector<FileId> gone;
  {
    const std::lock_guard lock(removals_mutex_);
    directories.swap(removed_from_);
    gone.swap(gone_);
  }
  Status status;
  for (Inode* directory : directories) {
    const auto lease = inodes_.Open(directory);
    const Status synced =
        lease.ok() ? FromErrno(context_.posix.FSync((*lease)->get()), "syncing a directory") : lease.status();
    if (!synced.ok() && !IsGone(synced)) NoteRemovedFrom(directory);
    if (status.ok()) status = synced;
    Forget(directory, 1);
  }
  if (status.ok()) {
    register_->Drop(gone);
  } else {
    const std::lock_guard lock(removals_mutex_);
    gone_.insert(gone_.end(), gone.begin(), gone.end());
  }
  return IsGone(status) ? OkStatus() : status;
}

// The root's identity is new with every record: an older tree is noticed when it is opened. What stands there
// is read anew: its names may be on their way to another data key. True when it says that there is a
// register.
StatusOr<bool> Tree::RenewRoot(bool registered) {
  const std::lock_guard lock(root_->mutex);
  const int fd = root_lease_->get();
  KEYHOLD_ASSIGN_OR_RETURN(Identity identity, ReadIdentity(context_, fd, InodeKind::kDirectory));
  ++identity.counter;
  identity.registered = identity.registered || registered;
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context_, fd, identity));
  root_->directory->counter = identity.counter;
  root_->directory->registered = identity.registered;
  KEYHOLD_RETURN_IF_ERROR(FromErrno(context_.posix.FSync(fd), "syncing the store's root"));
  register_->Raise(identity.id, 0, identity.counter);
  return identity.registered;
}

// What could not be settled keeps its older line.
Status Tree::RecordHoldingRecording(std::optional<uint64_t> above, bool end) {
  Status settled = SettleFiles();
  const Status removed = SettleRemovals();
  if (settled.ok()) settled = removed;
  if (!above.has_value() && !register_->changed()) return settled;
  KEYHOLD_ASSIGN_OR_RETURN(const bool registered, RenewRoot(false));
  KEYHOLD_RETURN_IF_ERROR(register_->Write(above.value_or(0), end));
  // Only now that there is a register: who finds the root so misses it where it is not.
  if (!registered) KEYHOLD_RETURN_IF_ERROR(RenewRoot(true).status());
  return settled;
}

Status Tree::Record() {
  const std::lock_guard recording(recording_);
  return RecordHoldingRecording(std::nullopt, false);
}

Status Tree::NextGeneration(uint64_t above) {
  const std::lock_guard recording(recording_);
  numbered_ = true;
  return RecordHoldingRecording(above, false);
}

Status Tree::Close() {
  const std::lock_guard recording(recording_);
  closed_ = true;
  SealAll();
  return RecordHoldingRecording(numbered_ ? std::optional<uint64_t>(0) : std::nullopt, true);
}

}  // namespace keyhold::store
