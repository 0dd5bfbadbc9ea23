// Of files nobody syncs, and of those that nobody uses: both are brought to where their object can go.
#include <malloc.h>

#include <algorithm>

#include "store/tree.h"

namespace keyhold::store {
namespace {

// So many files are synced one by one; more of them by one sync of the file system, which waits for what
// others write there too.
constexpr size_t kSyncedApart = 256;

// A file is settled after its data, its maps and its identity have been synced, each after the other.
constexpr int kRoundsToSettle = 4;

// What so many files let go of lies scattered, and would stay with this process.
constexpr size_t kManyFiles = 1000;

}  // namespace

std::vector<Tree::Loaded> Tree::LoadedFiles() {
  std::vector<Loaded> files;
  for (Inode* inode : inodes_.Loaded()) {
    if (auto file = LoadedFileOf(inode); file != nullptr) {
      files.push_back({inode, std::move(file)});
    } else {
      Forget(inode, 1);
    }
  }
  return files;
}

// The first error; each file knows of its own.
Status Tree::SyncTogether(std::span<const Loaded> files) {
  if (files.size() > kSyncedApart) return SyncAtOnce(files);
  Status status;
  for (; !files.empty(); files = files.subspan(1)) {
    const Status synced = SyncAtOnce(files.first(1));
    if (status.ok()) status = synced;
  }
  return status;
}

Status Tree::SyncAtOnce(std::span<const Loaded> files) {
  std::vector<File::Syncing> begun;
  for (const auto& [inode, file] : files) {
    const auto lease = inodes_.Open(inode);
    begun.push_back(file->BeginSync(lease.ok() ? (*lease)->get() : -1));
  }
  int result = 0;
  if (files.size() > 1) result = context_.posix.SyncFs(root_lease_->get());
  Status status;
  for (size_t i = 0; i < files.size(); ++i) {
    const auto lease = inodes_.Open(files[i].inode);
    const int fd = lease.ok() ? (*lease)->get() : -1;
    if (files.size() == 1) result = lease.ok() ? context_.posix.FSync(fd) : -ErrnoOf(lease.status());
    const Status ended = files[i].file->EndSync(fd, begun[i], result);
    if (status.ok()) status = Count(files[i].inode, ended);
  }
  return status;
}

// A look at each file that is in memory; false when none has anything left to be done.
bool Tree::SealRound(uint64_t written_before) {
  const std::vector<Loaded> files = LoadedFiles();
  std::vector<Loaded> waiting;
  std::copy_if(files.begin(), files.end(), std::back_inserter(waiting),
               [&](const Loaded& loaded) { return loaded.file->AwaitsSync(written_before); });
  (void)SyncTogether(waiting);
  waiting.clear();
  size_t unloaded = 0;
  bool more = false;
  for (const Loaded& loaded : files) {
    if (loaded.file->HasUnsealed()) {
      const auto lease = inodes_.Open(loaded.inode);
      if (lease.ok()) (void)Count(loaded.inode, loaded.file->Seal((*lease)->get()));
    }
    more = more || loaded.file->AwaitsSync(written_before);
    if (Unload(loaded)) ++unloaded;
    Forget(loaded.inode, 1);
  }
  if (unloaded >= kManyFiles) malloc_trim(0);
  return more;
}

// Where nobody else has it, nobody can get it but by the inode, whose mutex is held.
bool Tree::Unload(const Loaded& loaded) {
  const std::lock_guard lock(loaded.inode->mutex);
  constexpr long kInodeAndLoaded = 2;
  const bool nameless = loaded.inode->pinned != nullptr;
  if (!loaded.file->Cool() || nameless || loaded.file.use_count() > kInodeAndLoaded) return false;
  loaded.inode->file.reset();
  inodes_.NoteUnloaded(loaded.inode);
  return true;
}

void Tree::SealSome(absl::Duration patience) {
  const auto waited = static_cast<uint64_t>(absl::ToInt64Microseconds(patience));
  const uint64_t now = context_.counter.Next(0);
  SealRound(now - std::min(now, waited));
}

void Tree::SealAll() {
  for (int round = 0; round < kRoundsToSettle && SealRound(UINT64_MAX); ++round) {
  }
}

}  // namespace keyhold::store
