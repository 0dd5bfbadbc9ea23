#include "store/fuse_ops.h"

#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "store/errno.h"

namespace keyhold::store {
namespace {

// Nobody else changes the store: what the kernel knows stays true.
constexpr double kForever = 365.0 * 24 * 3600;
constexpr unsigned kLargestTransfer = 1 << 20;

FuseState& StateOf(fuse_req_t request) { return *static_cast<FuseState*>(fuse_req_userdata(request)); }
Tree& TreeOf(fuse_req_t request) { return StateOf(request).tree; }

Inode* InodeOf(fuse_req_t request, fuse_ino_t ino) {
  return ino == FUSE_ROOT_ID ? TreeOf(request).root() : reinterpret_cast<Inode*>(ino);
}

Owner CallerOf(fuse_req_t request) {
  const fuse_ctx* caller = fuse_req_ctx(request);
  return {caller->uid, caller->gid};
}

// The funnel: every request that is not answered with a value ends here.
void Reply(fuse_req_t request, const Status& status) { fuse_reply_err(request, ToErrno(status)); }

fuse_entry_param ParamOf(const Entry& entry) {
  fuse_entry_param param{};
  param.ino = reinterpret_cast<fuse_ino_t>(entry.inode);
  param.attr = entry.st;
  param.attr_timeout = kForever;
  param.entry_timeout = kForever;
  return param;
}

void ReplyEntry(fuse_req_t request, const StatusOr<Entry>& entry) {
  if (!entry.ok()) return Reply(request, entry.status());
  const fuse_entry_param param = ParamOf(*entry);
  if (fuse_reply_entry(request, &param) != 0) TreeOf(request).Forget(entry->inode, 1);
}

void Init(void* data, fuse_conn_info* connection) {
  connection->max_write = kLargestTransfer;
  connection->max_read = kLargestTransfer;
  connection->max_readahead = kLargestTransfer;
  constexpr unsigned kWanted = FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
                               FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_DIO |
                               FUSE_CAP_CACHE_SYMLINKS;
  connection->want |= kWanted & connection->capable;
  static_cast<FuseState*>(data)->ready();
}

void LookUp(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const auto entry = TreeOf(request).Lookup(InodeOf(request, parent), name);
  if (entry.ok() || ToErrno(entry.status()) != ENOENT) return ReplyEntry(request, entry);
  // A name that is not there is remembered too.
  fuse_entry_param absent{};
  absent.entry_timeout = kForever;
  fuse_reply_entry(request, &absent);
}

void Forget(fuse_req_t request, fuse_ino_t ino, uint64_t count) {
  if (ino != FUSE_ROOT_ID) TreeOf(request).Forget(InodeOf(request, ino), count);
  fuse_reply_none(request);
}

void ForgetMulti(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
  for (size_t i = 0; i < count; ++i) {
    if (forgets[i].ino != FUSE_ROOT_ID) {
      TreeOf(request).Forget(InodeOf(request, forgets[i].ino), forgets[i].nlookup);
    }
  }
  fuse_reply_none(request);
}

void GetAttr(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
  const auto st = TreeOf(request).Attributes(InodeOf(request, ino));
  if (!st.ok()) return Reply(request, st.status());
  fuse_reply_attr(request, &*st, kForever);
}

void SetAttr(fuse_req_t request, fuse_ino_t ino, struct stat* wanted, int to_set, fuse_file_info*) {
  Change change;
  if ((to_set & FUSE_SET_ATTR_MODE) != 0) change.mode = wanted->st_mode;
  if ((to_set & FUSE_SET_ATTR_UID) != 0) change.uid = wanted->st_uid;
  if ((to_set & FUSE_SET_ATTR_GID) != 0) change.gid = wanted->st_gid;
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0) change.size = static_cast<uint64_t>(wanted->st_size);
  if ((to_set & FUSE_SET_ATTR_ATIME) != 0) change.accessed = wanted->st_atim;
  if ((to_set & FUSE_SET_ATTR_MTIME) != 0) change.modified = wanted->st_mtim;
  if ((to_set & FUSE_SET_ATTR_ATIME_NOW) != 0) change.accessed = timespec{0, UTIME_NOW};
  if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0) change.modified = timespec{0, UTIME_NOW};
  const auto st = TreeOf(request).SetAttributes(InodeOf(request, ino), change);
  if (!st.ok()) return Reply(request, st.status());
  fuse_reply_attr(request, &*st, kForever);
}

void ReadLink(fuse_req_t request, fuse_ino_t ino) {
  const auto target = TreeOf(request).ReadLink(InodeOf(request, ino));
  if (!target.ok()) return Reply(request, target.status());
  fuse_reply_readlink(request, target->c_str());
}

void MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  ReplyEntry(request,
             TreeOf(request).MakeNode(InodeOf(request, parent), name, mode, device, CallerOf(request)));
}

void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  ReplyEntry(request, TreeOf(request).MakeDirectory(InodeOf(request, parent), name, mode, CallerOf(request)));
}

void MakeSymlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  ReplyEntry(request, TreeOf(request).MakeSymlink(InodeOf(request, parent), name, target, CallerOf(request)));
}

void MakeLink(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  ReplyEntry(request, TreeOf(request).MakeLink(InodeOf(request, ino), InodeOf(request, parent), name));
}

void Unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Reply(request, TreeOf(request).Unlink(InodeOf(request, parent), name));
}

void RemoveDirectory(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Reply(request, TreeOf(request).RemoveDirectory(InodeOf(request, parent), name));
}

void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned flags) {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  Reply(request, TreeOf(request).Rename(InodeOf(request, parent), name, InodeOf(request, new_parent),
                                        new_name, flags));
}

void SetCaching(const MountOptions& options, fuse_file_info* info) {
  info->direct_io = options.direct_dsync && (info->flags & O_DSYNC) != 0;
  info->keep_cache = 1;
  info->noflush = 1;
}

void Open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  Inode* inode = InodeOf(request, ino);
  if ((info->flags & O_TRUNC) != 0) {
    Change empty;
    empty.size = 0;
    const auto st = TreeOf(request).SetAttributes(inode, empty);
    if (!st.ok()) return Reply(request, st.status());
  }
  SetCaching(StateOf(request).options, info);
  TreeOf(request).Opened(inode);
  if (fuse_reply_open(request, info) != 0) TreeOf(request).Closed(inode);
}

void Create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info) {
  Tree& tree = TreeOf(request);
  const auto entry = tree.MakeFile(InodeOf(request, parent), name, mode, CallerOf(request));
  if (!entry.ok()) return Reply(request, entry.status());
  SetCaching(StateOf(request).options, info);
  tree.Opened(entry->inode);
  const fuse_entry_param param = ParamOf(*entry);
  if (fuse_reply_create(request, &param, info) == 0) return;
  tree.Closed(entry->inode);
  tree.Forget(entry->inode, 1);
}

void Release(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
  TreeOf(request).Closed(InodeOf(request, ino));
  fuse_reply_err(request, 0);
}

void Read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info*) {
  // One per thread: a fresh megabyte costs more in page faults than its decryption. Wiped, since it held
  // plaintext.
  thread_local std::vector<uint8_t> buffer;
  if (buffer.size() < size) buffer.resize(size);
  const auto got =
      TreeOf(request).Read(InodeOf(request, ino), static_cast<uint64_t>(offset), {buffer.data(), size});
  if (!got.ok()) return Reply(request, got.status());
  fuse_reply_buf(request, reinterpret_cast<const char*>(buffer.data()), *got);
  crypto::Wipe({buffer.data(), *got});
}

void Write(fuse_req_t request, fuse_ino_t ino, const char* data, size_t size, off_t offset,
           fuse_file_info* info) {
  const bool durable =
      StateOf(request).options.direct_dsync && !info->writepage && (info->flags & O_DSYNC) != 0;
  const Status status =
      TreeOf(request).Write(InodeOf(request, ino), static_cast<uint64_t>(offset),
                            crypto::AsBytes({data, size}), durable ? Durability::kDSync : Durability::kLazy);
  if (!status.ok()) return Reply(request, status);
  fuse_reply_write(request, size);
}

void FSync(fuse_req_t request, fuse_ino_t ino, int data_only, fuse_file_info*) {
  Reply(request, TreeOf(request).Sync(InodeOf(request, ino), data_only != 0));
}

void FAllocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t size, fuse_file_info*) {
  Reply(request, TreeOf(request).Allocate(InodeOf(request, ino), mode, static_cast<uint64_t>(offset),
                                          static_cast<uint64_t>(size)));
}

// The kernel asks without writing back what it still holds, which then would count as a hole: it is made to
// write it back first.
void LSeek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, fuse_file_info*) {
  StateOf(request).aside([=] {
    fuse_lowlevel_notify_inval_inode(StateOf(request).session, ino, 0, 0);
    const auto found = TreeOf(request).Seek(InodeOf(request, ino), static_cast<uint64_t>(offset),
                                            whence == SEEK_DATA ? Whence::kData : Whence::kHole);
    if (!found.ok()) return Reply(request, found.status());
    fuse_reply_lseek(request, static_cast<off_t>(*found));
  });
}

void StatFs(fuse_req_t request, fuse_ino_t) {
  const auto space = TreeOf(request).Space();
  if (!space.ok()) return Reply(request, space.status());
  fuse_reply_statfs(request, &*space);
}

// A directory is listed when it is first read; positions are places in that list.
struct OpenDirectory {
  std::vector<Listed> entries;
};

OpenDirectory* DirectoryOf(const fuse_file_info* info) { return reinterpret_cast<OpenDirectory*>(info->fh); }

void OpenDir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  info->fh = reinterpret_cast<uint64_t>(new OpenDirectory);
  info->cache_readdir = 0;
  if (fuse_reply_open(request, info) != 0) delete DirectoryOf(info);
}

void ReleaseDir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  delete DirectoryOf(info);
  fuse_reply_err(request, 0);
}

Status FillDirectory(fuse_req_t request, fuse_ino_t ino, OpenDirectory* directory) {
  KEYHOLD_ASSIGN_OR_RETURN(directory->entries, TreeOf(request).List(InodeOf(request, ino)));
  const ino_t number = InodeOf(request, ino)->key.number;
  directory->entries.insert(directory->entries.begin(), {{".", number, DT_DIR}, {"..", number, DT_DIR}});
  return OkStatus();
}

// Adds one entry to the answer; false when it is full.
bool AddEntry(fuse_req_t request, fuse_ino_t ino, const Listed& listed, off_t next, bool plus,
              std::vector<char>* buffer, size_t* used) {
  struct stat st {};
  st.st_ino = listed.number;
  st.st_mode = static_cast<mode_t>(listed.type) << 12;
  char* at = buffer->data() + *used;
  const size_t room = buffer->size() - *used;
  size_t size = 0;
  const char* name = listed.name.c_str();
  if (!plus) {
    size = fuse_add_direntry(request, at, room, name, &st, next);
  } else {
    fuse_entry_param param{};
    param.attr = st;
    Inode* looked_up = nullptr;
    if (listed.name != "." && listed.name != "..") {
      const auto entry = TreeOf(request).Lookup(InodeOf(request, ino), listed.name);
      // One that went meanwhile, or cannot be read, is listed by name alone.
      if (entry.ok()) {
        param = ParamOf(*entry);
        looked_up = entry->inode;
      }
    }
    size = fuse_add_direntry_plus(request, at, room, name, &param, next);
    if (size > room && looked_up != nullptr) TreeOf(request).Forget(looked_up, 1);
  }
  if (size > room) return false;
  *used += size;
  return true;
}

void ReadDirectory(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, const fuse_file_info* info,
                   bool plus) {
  OpenDirectory* directory = DirectoryOf(info);
  if (offset == 0) {
    const Status filled = FillDirectory(request, ino, directory);
    if (!filled.ok()) return Reply(request, filled);
  }
  std::vector<char> buffer(size);
  size_t used = 0;
  for (size_t i = static_cast<size_t>(offset); i < directory->entries.size(); ++i) {
    if (!AddEntry(request, ino, directory->entries[i], static_cast<off_t>(i + 1), plus, &buffer, &used))
      break;
  }
  fuse_reply_buf(request, buffer.data(), used);
}

void ReadDir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info* info) {
  ReadDirectory(request, ino, size, offset, info, false);
}

void ReadDirPlus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info* info) {
  ReadDirectory(request, ino, size, offset, info, true);
}

void GetXAttr(fuse_req_t request, fuse_ino_t ino, const char* name, size_t size) {
  const auto value = TreeOf(request).GetAttribute(InodeOf(request, ino), name);
  if (!value.ok()) {
    // Attributes of other namespaces are never there; saying so lets the kernel go on.
    const int error = ToErrno(value.status());
    fuse_reply_err(request, error == EOPNOTSUPP ? ENODATA : error);
  } else if (size == 0) {
    fuse_reply_xattr(request, value->size());
  } else if (value->size() > size) {
    fuse_reply_err(request, ERANGE);
  } else {
    fuse_reply_buf(request, value->data(), value->size());
  }
}

void SetXAttr(fuse_req_t request, fuse_ino_t ino, const char* name, const char* value, size_t size,
              int flags) {
  Reply(request, TreeOf(request).SetAttribute(InodeOf(request, ino), name, std::string(value, size), flags));
}

void ListXAttr(fuse_req_t request, fuse_ino_t ino, size_t size) {
  const auto names = TreeOf(request).ListAttributes(InodeOf(request, ino));
  if (!names.ok()) return Reply(request, names.status());
  std::string list;
  for (const std::string& name : *names) list.append(name).push_back('\0');
  if (size == 0) {
    fuse_reply_xattr(request, list.size());
  } else if (list.size() > size) {
    fuse_reply_err(request, ERANGE);
  } else {
    fuse_reply_buf(request, list.data(), list.size());
  }
}

void RemoveXAttr(fuse_req_t request, fuse_ino_t ino, const char* name) {
  Reply(request, TreeOf(request).RemoveAttribute(InodeOf(request, ino), name));
}

void AddAttributeOperations(fuse_lowlevel_ops* operations) {
  operations->getxattr = GetXAttr;
  operations->setxattr = SetXAttr;
  operations->listxattr = ListXAttr;
  operations->removexattr = RemoveXAttr;
}

}  // namespace

fuse_lowlevel_ops FuseOperations(const MountOptions& options) {
  fuse_lowlevel_ops operations{};
  operations.init = Init;
  operations.lookup = LookUp;
  operations.forget = Forget;
  operations.forget_multi = ForgetMulti;
  operations.getattr = GetAttr;
  operations.setattr = SetAttr;
  operations.readlink = ReadLink;
  operations.mknod = MakeNode;
  operations.mkdir = MakeDirectory;
  operations.symlink = MakeSymlink;
  operations.link = MakeLink;
  operations.unlink = Unlink;
  operations.rmdir = RemoveDirectory;
  operations.rename = Rename;
  operations.open = Open;
  operations.create = Create;
  operations.release = Release;
  operations.read = Read;
  operations.write = Write;
  operations.fsync = FSync;
  operations.fallocate = FAllocate;
  operations.lseek = LSeek;
  operations.statfs = StatFs;
  operations.opendir = OpenDir;
  operations.releasedir = ReleaseDir;
  operations.readdir = ReadDir;
  operations.readdirplus = ReadDirPlus;
  operations.fsyncdir = FSync;
  if (options.extended_attributes) AddAttributeOperations(&operations);
  return operations;
}

}  // namespace keyhold::store
