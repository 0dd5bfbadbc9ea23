#include "store/register.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "store/bytes.h"
#include "store/file.h"
#include "store/inode.h"

namespace keyhold::store {
namespace {

constexpr char kName[] = "register";
constexpr char kFreshName[] = "register.new";

constexpr uint32_t kVersion = 1;
constexpr uint32_t kOpenFlag = 1;  // files may have been made since it was written

// Offsets in the head.
constexpr size_t kVersionAt = 0;
constexpr size_t kFlagsAt = 4;
constexpr size_t kNumberAt = 8;
constexpr size_t kBirthAt = 16;
constexpr size_t kRootAt = 24;
constexpr size_t kLooseAt = 40;
constexpr size_t kLinesAt = 48;
constexpr size_t kHeadSize = 56;
constexpr size_t kBirthsSize = 16;

static_assert(sizeof(Line) == 32 && std::is_trivially_copyable_v<Line>, "lines are on the disk as they are");

// So many replacements a store has at the most between an opening and the next: births of one opening are
// below those of the next by that.
constexpr uint64_t kBirthsOfAnOpening = uint64_t{1} << 32;

bool IsBefore(const Line& line, const std::pair<FileId, uint64_t>& key) {
  return std::tie(line.file, line.part) < std::tie(key.first, key.second);
}

Status Damaged() { return Error(Cause::kCorrupt, "it is damaged"); }

// Each line once, each file's identity before its maps; so that no block of zeroes passes for lines.
bool AreInOrder(const std::vector<Line>& lines) {
  constexpr Line kFirst{};
  const Line* before = &kFirst;
  for (const Line& line : lines) {
    if (!IsBefore(*before, {line.file, line.part})) return false;
    if (line.part != 0 && line.file != before->file) return false;
    before = &line;
  }
  return lines.empty() || lines.front().file != FileId{};
}

}  // namespace

Status CheckGeneration(uint64_t generation, uint64_t least) {
  if (generation >= least) return OkStatus();
  return Error(Cause::kFailedPrecondition, "the store is an older copy: its generation is " +
                                               std::to_string(generation) + ", and generation " +
                                               std::to_string(least) +
                                               " has been in force; put the latest store back");
}

StatusOr<std::unique_ptr<Register>> Register::Open(const Context& context, int store) {
  std::unique_ptr<Register> opened(new Register(context, store));
  const Status read = opened->ReadFrom(store);
  if (read.ok()) return opened;
  if (CauseOf(read) != Cause::kCorrupt && CauseOf(read) != Cause::kUnimplemented) return read;
  return Error(Cause::kCorrupt,
               "the store's register: " + std::string(read.message()) + "; put the latest store back");
}

StatusOr<std::unique_ptr<Register>> Register::Anew(const Context& context, int store) {
  Register former(context, store);
  const Status read = former.ReadFrom(store);
  if (!read.ok() && CauseOf(read) == Cause::kUnimplemented) {
    return Error(Cause::kFailedPrecondition, "the store's register: " + std::string(read.message()));
  }
  if (!read.ok() && CauseOf(read) != Cause::kCorrupt) return read;
  std::unique_ptr<Register> anew(new Register(context, store));
  anew->number_ = former.number_;
  // An opening takes less than 2^32 births, and there is less than one in a second.
  const uint64_t seconds = context.counter.Next(0) / 1'000'000;
  anew->birth_ = std::max(former.birth_ + kBirthsOfAnOpening, seconds * kBirthsOfAnOpening);
  anew->loose_ = {{0, anew->birth_}};
  anew->begun_ = true;  // nothing is written before all is known
  anew->changed_ = true;
  return anew;
}

// OK where there is none. kUnimplemented: it authenticates, and is of a form that is not known.
Status Register::ReadFrom(int store) {
  const int fd = context_.posix.OpenAt(store, kName, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd == -ENOENT) return OkStatus();
  if (fd < 0) return ErrnoError(-fd, "opening the store's register");
  const Descriptor closes(context_.posix, fd);
  return Read(fd);
}

Status Register::Read(int fd) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto file, File::Open(context_, fd, nullptr, InodeKind::kRegister));
  const uint64_t size = file->size();
  if (size < kHeadSize) return Damaged();
  std::array<uint8_t, kHeadSize> head;
  KEYHOLD_RETURN_IF_ERROR(file->Read(fd, 0, head).status());
  if (Load<uint32_t>(&head[kVersionAt]) != kVersion || (Load<uint32_t>(&head[kFlagsAt]) & ~kOpenFlag) != 0) {
    return Error(Cause::kUnimplemented, "it is of an unknown form; was it written by a newer Keyhold?");
  }
  number_ = Load<uint64_t>(&head[kNumberAt]);
  birth_ = Load<uint64_t>(&head[kBirthAt]);
  std::memcpy(root_.data(), &head[kRootAt], root_.size());
  const auto loose = Load<uint64_t>(&head[kLooseAt]);
  const auto count = Load<uint64_t>(&head[kLinesAt]);
  if (loose > size / kBirthsSize || count > size / sizeof(Line) ||
      size != kHeadSize + loose * kBirthsSize + count * sizeof(Line)) {
    return Damaged();
  }
  std::vector<uint8_t> births(loose * kBirthsSize);
  KEYHOLD_RETURN_IF_ERROR(file->Read(fd, kHeadSize, births).status());
  for (size_t at = 0; at < births.size(); at += kBirthsSize) {
    loose_.emplace_back(Load<uint64_t>(&births[at]), Load<uint64_t>(&births[at + 8]));
  }
  auto lines = std::make_shared<Lines>(count);
  const crypto::MutableBytes bytes(reinterpret_cast<uint8_t*>(lines->data()), count * sizeof(Line));
  KEYHOLD_RETURN_IF_ERROR(file->Read(fd, kHeadSize + births.size(), bytes).status());
  if (!AreInOrder(*lines)) return Damaged();
  lines_ = std::move(lines);
  if ((Load<uint32_t>(&head[kFlagsAt]) & kOpenFlag) != 0) {
    loose_.emplace_back(birth_, birth_ + kBirthsOfAnOpening);
    birth_ += kBirthsOfAnOpening;
  }
  return OkStatus();
}

uint64_t Register::number() const {
  const std::lock_guard lock(mutex_);
  return number_;
}

size_t Register::size() const {
  const std::lock_guard lock(mutex_);
  return lines_->size() + raised_.size();
}

bool Register::changed() const {
  const std::lock_guard lock(mutex_);
  return changed_;
}

FileId Register::root() const {
  const std::lock_guard lock(mutex_);
  return root_;
}

void Register::SetRoot(const FileId& root) {
  const std::lock_guard lock(mutex_);
  if (root_ == root) return;
  root_ = root;
  changed_ = true;
}

void Register::TakeInAll() {
  const std::lock_guard lock(mutex_);
  loose_ = {{0, 1}};
  changed_ = true;
}

void Register::AllAreEntered() {
  const std::lock_guard lock(mutex_);
  if (loose_.empty()) return;
  loose_.clear();
  changed_ = true;
}

std::optional<uint64_t> Register::Find(const FileId& file, uint64_t part) const {
  if (dropped_.contains(file)) return std::nullopt;
  const Key key{file, part};
  if (const auto raised = raised_.find(key); raised != raised_.end()) return raised->second;
  const auto line = std::lower_bound(lines_->begin(), lines_->end(), key, IsBefore);
  if (line == lines_->end() || line->file != file || line->part != part) return std::nullopt;
  return line->counter;
}

bool Register::IsLoose(uint64_t birth) const {
  return std::any_of(loose_.begin(), loose_.end(),
                     [&](const Births& births) { return birth >= births.first && birth < births.second; });
}

StatusOr<Identity> Register::Enter(InodeKind kind) {
  KEYHOLD_RETURN_IF_ERROR(Begin());
  Identity identity = NewIdentity(context_, kind);
  if (kind == InodeKind::kFile) identity.counter = context_.counter.Next(0) + kReservedAhead;
  const std::lock_guard lock(mutex_);
  for (identity.SetBirth(birth_); Find(identity.id, 0).has_value(); identity.SetBirth(birth_)) {
    context_.random.Fill(identity.id);
  }
  raised_[{identity.id, 0}] = identity.counter;
  changed_ = true;
  return identity;
}

StatusOr<uint64_t> Register::Check(const Identity& found) {
  const std::lock_guard lock(mutex_);
  if (const auto least = Find(found.id, 0)) {
    if (found.counter >= *least) return *least;
    return Error(Cause::kCorrupt,
                 "it is an older copy: the store's register has a newer one; put the latest one back");
  }
  if (!IsLoose(found.Birth()) || dropped_.contains(found.id)) {
    return Error(
        Cause::kCorrupt,
        "it is an older copy: it was deleted, and the store's register has it no more; take it away");
  }
  raised_[{found.id, 0}] = 0;
  changed_ = true;
  return 0;
}

bool Register::Has(const FileId& file) const {
  const std::lock_guard lock(mutex_);
  return Find(file, 0).has_value();
}

uint64_t Register::Least(const FileId& file, uint64_t part) const {
  const std::lock_guard lock(mutex_);
  return Find(file, part).value_or(0);
}

void Register::Raise(const FileId& file, uint64_t part, uint64_t counter) {
  const std::lock_guard lock(mutex_);
  if (!Find(file, 0).has_value() || Find(file, part).value_or(0) >= counter) return;
  raised_[{file, part}] = counter;
  changed_ = true;
}

void Register::Drop(const std::vector<FileId>& files) {
  const std::lock_guard lock(mutex_);
  for (const FileId& file : files) {
    if (Find(file, 0).has_value()) changed_ = true;
    dropped_.insert(file);
  }
}

void Register::Merge() {
  if (raised_.empty() && dropped_.empty()) return;
  auto merged = std::make_shared<Lines>();
  merged->reserve(lines_->size() + raised_.size());
  const auto add = [&](const Line& line) {
    if (!dropped_.contains(line.file)) merged->push_back(line);
  };
  auto old = lines_->begin();
  for (const auto& [key, counter] : raised_) {
    for (; old != lines_->end() && IsBefore(*old, key); ++old) add(*old);
    if (old != lines_->end() && old->file == key.first && old->part == key.second) ++old;
    add({key.first, key.second, counter});
  }
  std::for_each(old, lines_->end(), add);
  lines_ = std::move(merged);
  raised_.clear();
  dropped_.clear();
}

std::vector<FileId> Register::Missing(const std::set<FileId>& seen) {
  const std::lock_guard lock(mutex_);
  Merge();
  std::vector<FileId> missing;
  for (const Line& line : *lines_) {
    if (line.part == 0 && !seen.contains(line.file)) missing.push_back(line.file);
  }
  return missing;
}

// Who makes a file waits for it, once in the life of this object.
Status Register::Begin() {
  if (begun_) return OkStatus();
  const std::lock_guard writing(writing_);
  return begun_ ? OkStatus() : Replace(0, true);
}

Status Register::Write(uint64_t above, bool end) {
  const std::lock_guard writing(writing_);
  return Replace(above, begun_ && !end);
}

Status Register::Replace(uint64_t above, bool open) {
  std::shared_ptr<const Lines> lines;
  std::vector<uint8_t> head;
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    Merge();
    lines = lines_;
    ++birth_;  // what is made from here on is in the next one
    number = std::max(number_, above) + 1;
    head = Head(number, open);
    changed_ = false;
  }
  Status put = Put(head, *lines);
  if (put.ok()) begun_ = open;
  const std::lock_guard lock(mutex_);
  if (put.ok()) {
    number_ = number;
  } else {
    changed_ = true;
  }
  return put;
}

std::vector<uint8_t> Register::Head(uint64_t number, bool open) const {
  std::vector<uint8_t> head(kHeadSize + loose_.size() * kBirthsSize);
  Save<uint32_t>(&head[kVersionAt], kVersion);
  Save<uint32_t>(&head[kFlagsAt], open ? kOpenFlag : 0);
  Save<uint64_t>(&head[kNumberAt], number);
  Save<uint64_t>(&head[kBirthAt], birth_);
  std::memcpy(&head[kRootAt], root_.data(), root_.size());
  Save<uint64_t>(&head[kLooseAt], loose_.size());
  Save<uint64_t>(&head[kLinesAt], lines_->size());
  uint8_t* at = head.data() + kHeadSize;
  for (const auto& [first, end] : loose_) {
    Save<uint64_t>(at, first);
    Save<uint64_t>(at + 8, end);
    at += kBirthsSize;
  }
  return head;
}

Status Register::Put(const std::vector<uint8_t>& head, const Lines& lines) const {
  Posix& posix = context_.posix;
  const int fd = posix.OpenAt(store_, kFreshName, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoError(-fd, "making the store's register");
  const Descriptor closes(posix, fd);
  KEYHOLD_ASSIGN_OR_RETURN(const auto file,
                           File::Create(context_, fd, NewIdentity(context_, InodeKind::kRegister)));
  const crypto::Bytes bytes(reinterpret_cast<const uint8_t*>(lines.data()), lines.size() * sizeof(Line));
  KEYHOLD_RETURN_IF_ERROR(file->Write(fd, 0, head, Durability::kLazy));
  KEYHOLD_RETURN_IF_ERROR(file->Write(fd, head.size(), bytes, Durability::kLazy));
  KEYHOLD_RETURN_IF_ERROR(file->Sync(fd, false));
  int result = posix.RenameAt2(store_, kFreshName, store_, kName, 0);
  if (result == 0) result = posix.FSync(store_);
  return result == 0 ? OkStatus() : ErrnoError(-result, "replacing the store's register");
}

StatusOr<Survey> Register::Count() const {
  Survey survey;
  const int fd = context_.posix.OpenAt(store_, kName, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd == -ENOENT) return survey;
  if (fd < 0) return ErrnoError(-fd, "opening the store's register");
  const Descriptor closes(context_.posix, fd);
  KEYHOLD_ASSIGN_OR_RETURN(const auto file, File::Open(context_, fd, nullptr, InodeKind::kRegister));
  ++survey.blocks[file->identity().key];
  for (std::optional<uint64_t> next = 0; next.has_value();) {
    KEYHOLD_ASSIGN_OR_RETURN(next, file->LookAt(fd, *next, SurveyKind::kCount, &survey));
  }
  return survey;
}

}  // namespace keyhold::store
