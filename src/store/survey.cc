#include "store/survey.h"

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "store/bytes.h"
#include "store/directory.h"

namespace keyhold::store {

namespace {

constexpr size_t kNamedPlaces = 100;
constexpr uint64_t kUnsyncedSectors = 8192;  // 32 MiB

SurveyKind KindOf(Pass pass) {
  switch (pass) {
    case Pass::kVerify:
    case Pass::kAccept:
    case Pass::kForget:
      return SurveyKind::kVerify;
    case Pass::kRewrite:
    case Pass::kProve:
      return SurveyKind::kRewrite;
    default:
      return SurveyKind::kCount;
  }
}

bool IsGone(const Status& status) { return ErrnoOf(status) == ESTALE || ErrnoOf(status) == ENOENT; }

}  // namespace

void Surveyor::Damaged(const Inode* inode, const std::string& why) {
  Census& census = result_.census;
  ++census.damaged;
  if (census.damaged_places.size() < kNamedPlaces) {
    census.damaged_places.push_back(absl::StrCat("inode ", inode->key.number, ": ", why));
  }
}

// What does not authenticate is noted, what went meanwhile is no matter; the rest is an error.
Status Surveyor::Judge(const Inode* inode, const Status& status) {
  if (status.ok() || IsGone(status)) return OkStatus();
  if (CauseOf(status) != Cause::kCorrupt) return status;
  Damaged(inode, std::string(status.message()));
  return OkStatus();
}

StatusOr<SurveyResult> Surveyor::Run() {
  {
    // Whoever works with the key that was active before is through.
    const std::unique_lock gate(tree_.gate_);
    const std::lock_guard lock(tree_.moved_mutex_);
    tree_.watching_ = true;
  }
  const Status done = RunWatched();
  StopWatching();
  KEYHOLD_RETURN_IF_ERROR(done);
  if (pass_ != Pass::kStock) KEYHOLD_RETURN_IF_ERROR(VisitRegister());
  return std::move(result_);
}

Status Surveyor::RunWatched() {
  KEYHOLD_RETURN_IF_ERROR(Visit(tree_.root_, -1, ""));
  while (true) {
    KEYHOLD_RETURN_IF_ERROR(VisitUnlinked());
    std::vector<Tree::Moved> moved;
    KEYHOLD_ASSIGN_OR_RETURN(const bool more, TakeMoved(&moved));
    if (!more) return OkStatus();
    Status status;
    for (const Tree::Moved& entry : moved) {
      if (status.ok()) status = VisitMoved(entry);
      tree_.Forget(entry.parent, 1);
    }
    KEYHOLD_RETURN_IF_ERROR(status);
  }
}

// What the pass has opened has a line. The register itself is replaced where it is under an older key.
Status Surveyor::VisitRegister() {
  Register& lines = *tree_.register_;
  if (result_.census.damaged == 0 || pass_ == Pass::kAccept) lines.AllAreEntered();
  if (former_ != nullptr) result_.given_up.missing = former_->Missing(seen_).size();
  if (pass_ == Pass::kAccept) return OkStatus();  // the one on the disk may be damaged, and goes
  if (Verifies()) {
    const std::vector<FileId> missing = lines.Missing(seen_);
    result_.census.missing = missing.size();
    if (pass_ == Pass::kForget && result_.census.damaged == 0) lines.Drop(missing);
  }
  KEYHOLD_ASSIGN_OR_RETURN(Survey survey, lines.Count());
  if (Rewrites() && !survey.blocks.empty() && survey.blocks.begin()->first < tree_.active_key()) {
    KEYHOLD_RETURN_IF_ERROR(tree_.NextGeneration(0));
    KEYHOLD_ASSIGN_OR_RETURN(survey, lines.Count());
  }
  for (const auto& [key, count] : survey.blocks) result_.census.uses[key].others += count;
  return OkStatus();
}

StatusOr<bool> Surveyor::TakeMoved(std::vector<Tree::Moved>* moved) {
  const std::unique_lock gate(tree_.gate_);  // no move is half noted
  const std::lock_guard lock(tree_.moved_mutex_);
  moved->swap(tree_.moved_);
  if (moved->empty()) tree_.watching_ = false;
  return !moved->empty();
}

void Surveyor::StopWatching() {
  std::vector<Tree::Moved> left;
  {
    const std::lock_guard lock(tree_.moved_mutex_);
    tree_.watching_ = false;
    left.swap(tree_.moved_);
  }
  for (const Tree::Moved& entry : left) tree_.Forget(entry.parent, 1);
}

Status Surveyor::VisitMoved(const Tree::Moved& moved) {
  const auto lease = tree_.inodes_.Open(moved.parent);
  if (!lease.ok()) return Judge(moved.parent, lease.status());
  std::string entry;
  {
    const std::shared_lock gate(tree_.gate_);
    const auto names = tree_.NamesOf(moved.parent, (*lease)->get());
    if (!names.ok()) return Judge(moved.parent, names.status());
    KEYHOLD_ASSIGN_OR_RETURN(const SealedName sealed, (*names)->Seal(moved.name));
    entry = sealed.entry;
  }
  return VisitEntry((*lease)->get(), entry);
}

// Files that are open but have no name any more.
Status Surveyor::VisitUnlinked() {
  Status status;
  for (Inode* inode : tree_.inodes_.All()) {
    if (status.ok() && S_ISREG(inode->type)) {
      const auto lease = tree_.inodes_.Open(inode);
      struct stat st;
      if (lease.ok() && tree_.context_.posix.FStatAt((*lease)->get(), "", &st, AT_EMPTY_PATH) == 0 &&
          st.st_nlink == 0) {
        status = Visit(inode, -1, "");
      }
    }
    tree_.Forget(inode, 1);
  }
  return status;
}

Status Surveyor::VisitEntry(int dir, const std::string& entry) {
  struct stat st;
  const auto inode = tree_.inodes_.Find(dir, entry.c_str(), &st);
  if (!inode.ok()) return IsGone(inode.status()) ? OkStatus() : inode.status();
  const Status status = Visit(*inode, dir, entry);
  tree_.Forget(*inode, 1);
  return status;
}

Status Surveyor::Visit(Inode* inode, int dir, const std::string& entry) {
  KEYHOLD_RETURN_IF_ERROR(pace_(0, 0));
  if (S_ISLNK(inode->type)) return VisitLink(inode, dir, entry);
  if (!visited_.insert({inode->key.device, inode->key.number}).second) return OkStatus();
  if (S_ISDIR(inode->type)) return VisitDirectory(inode);
  return S_ISREG(inode->type) ? VisitFile(inode) : OkStatus();
}

Status Surveyor::VisitDirectory(Inode* directory) {
  const auto lease = tree_.inodes_.Open(directory);
  if (!lease.ok()) return Judge(directory, lease.status());
  const int fd = (*lease)->get();
  DataKeyId key = 0;
  {
    const std::shared_lock gate(tree_.gate_);
    const auto names = tree_.NamesOf(directory, fd);
    if (!names.ok()) return Judge(directory, names.status());
    key = directory->directory->key;
    if (Verifies()) seen_.insert(directory->directory->id);
  }
  if (pass_ == Pass::kAccept) KEYHOLD_RETURN_IF_ERROR(AcceptDirectory(fd, *directory->directory));
  // A name that is gone is gone for good before the line is.
  if (pass_ == Pass::kForget) KEYHOLD_RETURN_IF_ERROR(SyncDirectory(fd));
  ++result_.census.directories;
  if (pass_ != Pass::kStock) {
    ++result_.census.uses[key].others;
    KEYHOLD_RETURN_IF_ERROR(CountAttributes(directory, fd));
  }
  if (Rewrites()) {
    const auto moved = tree_.RekeyDirectory(directory, fd);
    if (!moved.ok()) KEYHOLD_RETURN_IF_ERROR(Judge(directory, moved.status()));
    if (moved.ok() && *moved) ++result_.rewritten;
  }
  KEYHOLD_ASSIGN_OR_RETURN(const auto entries, EntriesOf(directory, fd));
  for (const std::string& entry : entries) KEYHOLD_RETURN_IF_ERROR(VisitEntry(fd, entry));
  return OkStatus();
}

StatusOr<std::vector<std::string>> Surveyor::EntriesOf(Inode* directory, int fd) {
  const std::shared_lock gate(tree_.gate_);
  std::vector<std::string> entries;
  const auto names = tree_.NamesOf(directory, fd);
  if (!names.ok()) {
    KEYHOLD_RETURN_IF_ERROR(Judge(directory, names.status()));
    return entries;
  }
  KEYHOLD_RETURN_IF_ERROR(
      EachEntry(tree_.context_.posix, fd, [&](std::string_view entry, ino_t, unsigned char) {
        if (entry.substr(0, 2) == "N." || entry.substr(0, 2) == "T.") return true;
        if (Verifies() && !tree_.NameOf(fd, **names, entry).ok()) {
          Damaged(directory,
                  absl::StrCat("the name of the entry ", absl::string_view(entry.data(), entry.size()),
                               " does not authenticate"));
        }
        entries.emplace_back(entry);
        return true;
      }));
  return entries;
}

Status Surveyor::VisitFile(Inode* inode) {
  const auto lease = tree_.inodes_.Open(inode);
  if (!lease.ok()) return Judge(inode, lease.status());
  const int fd = (*lease)->get();
  struct stat st;
  if (const int result = tree_.context_.posix.FStatAt(fd, "", &st, AT_EMPTY_PATH); result != 0) {
    return ErrnoError(-result, "reading an inode");
  }
  const auto sectors = static_cast<uint64_t>(st.st_blocks) * 512 / kSectorSize;
  result_.sectors += sectors;
  ++result_.census.files;
  if (pass_ == Pass::kStock) return OkStatus();
  const auto file = tree_.FileOf(inode, fd);
  if (!file.ok()) return Judge(inode, file.status());
  const DataKeyId key = (*file)->identity().key;
  if (Verifies()) seen_.insert((*file)->id());
  ++result_.census.uses[key].others;
  KEYHOLD_RETURN_IF_ERROR(CountAttributes(inode, fd));
  if (pass_ == Pass::kRewrite && key == tree_.context_.keys.Active()) {
    if (passed_over_ != nullptr) passed_over_->insert({inode->key.device, inode->key.number});
    return pace_(0, sectors);
  }
  bool sound = true;
  bool changed = false;
  Survey::MapCounters maps;
  KEYHOLD_RETURN_IF_ERROR(LookThrough(inode, file->get(), fd, &sound, &changed, &maps));
  if (pass_ == Pass::kAccept) KEYHOLD_RETURN_IF_ERROR(AcceptFile(file->get(), fd, maps));
  if (!Rewrites() || !sound) return OkStatus();
  // The identity's key says that the whole file is under it.
  const auto moved = tree_.RekeyAttributes(inode, fd);
  if (!moved.ok()) return Judge(inode, moved.status());
  if (*moved) ++result_.rewritten;
  return *moved || changed || MayBeInCacheOnly(inode) ? (*file)->Sync(fd, false) : OkStatus();
}

// The proof is of what is on the disk: what was written over an old block must not be lost with the cache
// once the old block's key is destroyed. What this run has rewritten it has synced; a file that it passed
// over may have been written by a process that was killed.
bool Surveyor::MayBeInCacheOnly(const Inode* inode) const {
  return pass_ == Pass::kProve && passed_over_ != nullptr &&
         passed_over_->contains({inode->key.device, inode->key.number});
}

Status Surveyor::LookThrough(Inode* inode, File* file, int fd, bool* sound, bool* changed,
                             Survey::MapCounters* maps) {
  uint64_t unsynced = 0;
  for (std::optional<uint64_t> next = 0; next.has_value();) {
    Survey survey;
    KEYHOLD_ASSIGN_OR_RETURN(next, file->LookAt(fd, *next, KindOf(pass_), &survey));
    uint64_t sectors = 0;
    for (const auto& [key, count] : survey.blocks) {
      result_.census.uses[key].blocks += count;
      sectors += count;
    }
    for (const auto& [key, count] : survey.maps) {
      result_.census.uses[key].maps += count;
      sectors += count;
    }
    maps->merge(survey.map_counters);
    for (const std::string& why : survey.damaged) Damaged(inode, why);
    *sound = *sound && survey.damaged.empty();
    *changed = *changed || survey.rewritten != 0;
    result_.rewritten += survey.rewritten;
    unsynced += survey.rewritten;
    if (unsynced >= kUnsyncedSectors) {
      KEYHOLD_RETURN_IF_ERROR(file->Sync(fd, true));
      unsynced = 0;
    }
    KEYHOLD_RETURN_IF_ERROR(pace_(survey.bytes, sectors));
  }
  return OkStatus();
}

void Surveyor::CompareWithFormer(const Identity& found, const Survey::MapCounters& maps) {
  if (former_ == nullptr) return;
  const bool known = former_->Has(found.id);
  bool older = !former_->Check(found).ok();
  for (const auto& [group, counter] : maps) {
    older = older || counter < former_->Least(found.id, PartOfMap(group));
  }
  if (older) ++(known ? result_.given_up.older : result_.given_up.deleted);
}

Status Surveyor::SyncDirectory(int fd) {
  const int result = tree_.context_.posix.FSync(fd);
  return result == 0 ? OkStatus() : ErrnoError(-result, "syncing a directory");
}

// Its line is to speak of what is on the disk.
Status Surveyor::AcceptDirectory(int fd, const Identity& found) {
  CompareWithFormer(found, {});
  KEYHOLD_RETURN_IF_ERROR(SyncDirectory(fd));
  tree_.register_->Raise(found.id, 0, found.counter);
  return OkStatus();
}

Status Surveyor::AcceptFile(File* file, int fd, const Survey::MapCounters& maps) {
  CompareWithFormer(file->identity(), maps);
  KEYHOLD_RETURN_IF_ERROR(file->Sync(fd, false));
  for (const auto& [group, counter] : maps) tree_.register_->Raise(file->id(), PartOfMap(group), counter);
  return OkStatus();
}

Status Surveyor::VisitLink(Inode* inode, int dir, const std::string& entry) {
  ++result_.census.links;
  if (pass_ == Pass::kStock) return OkStatus();
  const auto lease = tree_.inodes_.Open(inode);
  if (!lease.ok()) return Judge(inode, lease.status());
  const auto key = tree_.KeyOfLink((*lease)->get());
  if (!key.ok()) return Judge(inode, key.status());
  ++result_.census.uses[*key].others;
  if (Verifies()) return Judge(inode, tree_.TargetOf((*lease)->get()).status());
  if (!Rewrites() || *key == tree_.context_.keys.Active() || dir < 0) return OkStatus();
  const auto moved = tree_.RekeyLink(inode, dir, entry.c_str());
  if (!moved.ok()) return Judge(inode, moved.status());
  if (*moved) ++result_.rewritten;
  return OkStatus();
}

Status Surveyor::CountAttributes(const Inode* inode, int fd) {
  const auto attributes = BackingAttributes(tree_.context_.posix, fd);
  if (!attributes.ok()) return Judge(inode, attributes.status());
  for (const auto& [name, sealed] : *attributes) {
    const DataKeyId key =
        sealed.size() < sizeof(DataKeyId) ? 0 : Load<uint32_t>(crypto::AsBytes(sealed).data());
    ++result_.census.uses[key].others;
    if (!Verifies()) continue;
    KEYHOLD_RETURN_IF_ERROR(Judge(inode, OpenSmall(tree_.context_, "attribute", name, sealed).status()));
  }
  return OkStatus();
}

}  // namespace keyhold::store
