#include "store/inode.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace keyhold::store {
namespace {

int OpenFlags(mode_t type) {
  if (S_ISREG(type)) return O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOATIME;
  if (S_ISDIR(type)) return O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  return O_PATH | O_NOFOLLOW | O_CLOEXEC;
}

}  // namespace

StatusOr<Inode*> InodeTable::Find(int dir, const char* entry, struct stat* st) {
  const int flags = *entry == '\0' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  if (const int result = posix_.FStatAt(dir, entry, st, flags); result != 0) {
    return ErrnoError(-result, "looking up an entry");
  }
  const std::lock_guard lock(mutex_);
  const InodeKey key{st->st_dev, st->st_ino};
  auto& slot = inodes_[key];
  if (slot == nullptr) {
    auto inode = std::make_unique<Inode>();
    inode->key = key;
    inode->type = st->st_mode & S_IFMT;
    if (const Status located = Locate(dir, entry, inode.get()); !located.ok()) {
      inodes_.erase(key);
      return located;
    }
    slot = std::move(inode);
  }
  ++slot->lookups;
  return slot.get();
}

Status InodeTable::Locate(int dir, const char* entry, Inode* inode) {
  std::string bytes(sizeof(file_handle) + MAX_HANDLE_SZ, '\0');
  auto* handle = reinterpret_cast<file_handle*>(bytes.data());
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  const int flags = *entry == '\0' ? AT_EMPTY_PATH : 0;
  const int result = posix_.NameToHandleAt(dir, entry, handle, &mount_id, flags);
  if (result == 0) {
    bytes.resize(sizeof(file_handle) + handle->handle_bytes);
    inode->handle = std::move(bytes);
    return OkStatus();
  }
  if (result != -EOPNOTSUPP && result != -EPERM) return ErrnoError(-result, "taking a handle");
  const int fd = posix_.OpenAt(dir, *entry == '\0' ? "." : entry, OpenFlags(inode->type), 0);
  if (fd < 0) return ErrnoError(-fd, "opening an entry");
  inode->pinned = std::make_shared<Descriptor>(posix_, fd);
  return OkStatus();
}

Inode* InodeTable::Known(const struct stat& st) {
  const std::lock_guard lock(mutex_);
  const auto found = inodes_.find({st.st_dev, st.st_ino});
  return found == inodes_.end() ? nullptr : found->second.get();
}

StatusOr<Lease> InodeTable::OpenFresh(Inode* inode) {
  // The call wants a handle that it may write to.
  std::string handle;
  {
    const std::lock_guard lock(inode->mutex);
    handle = inode->handle;
  }
  const int fd =
      posix_.OpenByHandleAt(mount_, reinterpret_cast<file_handle*>(handle.data()), OpenFlags(inode->type));
  if (fd < 0) return ErrnoError(-fd, "opening an inode by its handle");
  return std::make_shared<Descriptor>(posix_, fd);
}

StatusOr<Lease> InodeTable::Open(Inode* inode) {
  {
    const std::lock_guard lock(inode->mutex);
    if (inode->pinned != nullptr) return inode->pinned;
  }
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = open_.find(inode); found != open_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second.place);
      return found->second.lease;
    }
  }
  KEYHOLD_ASSIGN_OR_RETURN(Lease lease, OpenFresh(inode));
  return Lend(inode, std::move(lease));
}

Lease InodeTable::Lend(Inode* inode, Lease lease) {
  Lease evicted;  // closed after the lock is gone
  const std::lock_guard lock(mutex_);
  const auto [slot, fresh] = open_.try_emplace(inode);
  if (!fresh) return slot->second.lease;
  recent_.push_front(inode);
  slot->second = {lease, recent_.begin()};
  if (open_.size() > capacity_) {
    const auto last = open_.find(recent_.back());
    evicted = std::move(last->second.lease);
    open_.erase(last);
    recent_.pop_back();
  }
  return lease;
}

Status InodeTable::Pin(Inode* inode) {
  KEYHOLD_ASSIGN_OR_RETURN(Lease lease, Open(inode));
  const std::lock_guard lock(inode->mutex);
  if (inode->pinned == nullptr) inode->pinned = std::move(lease);
  return OkStatus();
}

std::unique_ptr<Inode> InodeTable::Forget(Inode* inode, uint64_t count) {
  Lease closed;  // after the lock is gone
  const std::lock_guard lock(mutex_);
  inode->lookups -= count;
  if (inode->lookups != 0) return nullptr;
  if (const auto found = open_.find(inode); found != open_.end()) {
    closed = std::move(found->second.lease);
    recent_.erase(found->second.place);
    open_.erase(found);
  }
  const auto found = inodes_.find(inode->key);
  std::unique_ptr<Inode> last = std::move(found->second);
  inodes_.erase(found);
  NoteUnloaded(inode);
  return last;
}

bool InodeTable::ForgetUnlessLast(Inode* inode, uint64_t count) {
  const std::lock_guard lock(mutex_);
  if (inode->lookups <= count + (inode->lingers ? 1 : 0)) return false;
  inode->lookups -= count;
  return true;
}

void InodeTable::Linger(Inode* inode) {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(inode->lingers, true)) ++inode->lookups;
}

void InodeTable::EndLingering(Inode* inode) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(inode->lingers, false)) --inode->lookups;
}

void InodeTable::Keep(Inode* inode) {
  const std::lock_guard lock(mutex_);
  ++inode->lookups;
}

Status InodeTable::Replace(Inode* inode, int dir, const char* entry) {
  struct stat st;
  if (const int result = posix_.FStatAt(dir, entry, &st, AT_SYMLINK_NOFOLLOW); result != 0) {
    return ErrnoError(-result, "looking up an entry");
  }
  Inode located;
  located.type = inode->type;
  KEYHOLD_RETURN_IF_ERROR(Locate(dir, entry, &located));
  Lease closed;  // after the locks are gone
  const std::lock_guard lock(mutex_);
  const std::lock_guard inode_lock(inode->mutex);
  auto node = inodes_.extract(inode->key);
  node.key() = inode->key = {st.st_dev, st.st_ino};
  inodes_.insert(std::move(node));
  inode->handle = located.handle;
  inode->pinned = located.pinned;
  if (const auto found = open_.find(inode); found != open_.end()) {
    closed = std::move(found->second.lease);
    recent_.erase(found->second.place);
    open_.erase(found);
  }
  return OkStatus();
}

std::vector<Inode*> InodeTable::All() {
  const std::lock_guard lock(mutex_);
  std::vector<Inode*> all;
  all.reserve(inodes_.size());
  for (const auto& [key, inode] : inodes_) {
    ++inode->lookups;
    all.push_back(inode.get());
  }
  return all;
}

void InodeTable::NoteLoaded(Inode* inode) {
  const std::lock_guard lock(loaded_mutex_);
  loaded_.insert(inode);
}

void InodeTable::NoteUnloaded(Inode* inode) {
  const std::lock_guard lock(loaded_mutex_);
  loaded_.erase(inode);
}

std::vector<Inode*> InodeTable::Loaded() {
  const std::lock_guard lock(mutex_);
  const std::lock_guard loaded_lock(loaded_mutex_);
  for (Inode* inode : loaded_) ++inode->lookups;
  return {loaded_.begin(), loaded_.end()};
}

}  // namespace keyhold::store
