#include "store/file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "store/io.h"

namespace keyhold::store {
namespace {

// Sectors moved in one system call.
constexpr size_t kRunSectors = 256;

// Ciphertext on its way; one per thread, since a fresh megabyte costs more in page faults than its
// encryption.
uint8_t* RunBuffer() {
  thread_local const auto buffer = std::make_unique<uint8_t[]>(kRunSectors * kSectorSize);
  return buffer.get();
}

Status Corrupt(uint64_t block, const char* what) {
  return Error(Cause::kCorrupt, "block " + std::to_string(block) + " " + what);
}

// How many blocks from `first` one run may take: up to `end`, the run's limit and the group's end.
size_t RunLength(uint64_t first, uint64_t end) {
  return std::min({end - first, uint64_t{kRunSectors}, kGroupBlocks - IndexInGroup(first)});
}

}  // namespace

const uint8_t* File::RecentBlocks::Find(uint64_t block) const {
  for (const Slot& slot : slots_) {
    if (!slot.payload.empty() && slot.block == block) return slot.payload.data();
  }
  return nullptr;
}

void File::RecentBlocks::Put(uint64_t block, const uint8_t* payload) {
  for (Slot& slot : slots_) {
    if (!slot.payload.empty() && slot.block == block) {
      std::memcpy(slot.payload.data(), payload, kPayloadSize);
      return;
    }
  }
  Slot& slot = slots_[next_++ % slots_.size()];
  slot.block = block;
  slot.payload.assign(payload, payload + kPayloadSize);
}

void File::RecentBlocks::DropFrom(uint64_t block) { Drop(block, UINT64_MAX); }

void File::RecentBlocks::Drop(uint64_t first, uint64_t end) {
  for (Slot& slot : slots_) {
    if (slot.block < first || slot.block >= end) continue;
    crypto::Wipe(slot.payload);
    slot.payload = {};
  }
}

File::File(const Context& context, const Identity& identity, uint64_t floor, uint64_t settled,
           Register* lines)
    : context_(context),
      floor_(floor),
      register_(lines),
      identity_(identity),
      ciphers_(context.keys, identity.id),
      maps_(context_, ciphers_, identity.id, lines),
      reserved_(identity.counter),
      settled_(settled) {}

StatusOr<std::unique_ptr<File>> File::Create(const Context& context, int fd, const Identity& identity,
                                             Register* lines) {
  KEYHOLD_RETURN_IF_ERROR(WriteIdentity(context, fd, identity));
  return std::unique_ptr<File>(new File(context, identity, 0, identity.counter, lines));
}

StatusOr<std::unique_ptr<File>> File::Open(const Context& context, int fd, Register* lines, InodeKind kind) {
  KEYHOLD_ASSIGN_OR_RETURN(const Identity identity, ReadIdentity(context, fd, kind));
  uint64_t settled = identity.counter;
  if (lines != nullptr) {
    KEYHOLD_ASSIGN_OR_RETURN(settled, lines->Check(identity));
  }
  std::unique_ptr<File> file(new File(context, identity, identity.counter, settled, lines));
  KEYHOLD_RETURN_IF_ERROR(file->LoadSize(fd));
  // Of most files nobody wants more than the size.
  file->maps_.Drop(0);
  file->ciphers_.Drop();
  return file;
}

uint64_t File::size() const {
  const std::shared_lock lock(mutex_);
  return size_;
}

// The last block tells the size. After a crash the file may end in blocks that were never written: they are
// not part of it, unless a map says that they were.
Status File::LoadSize(int fd) {
  struct stat st;
  const int result = context_.posix.FStatAt(fd, "", &st, AT_EMPTY_PATH);
  if (result != 0) return ErrnoError(-result, "reading the size of a backing file");
  std::array<uint8_t, kSectorSize> sector;
  uint64_t blocks = BlocksIn(static_cast<uint64_t>(st.st_size));
  for (; blocks > identity_.sealed_blocks; --blocks) {
    KEYHOLD_ASSIGN_OR_RETURN(const size_t got,
                             ReadFully(context_.posix, fd, sector, DataSectorAt(blocks - 1)));
    if (got == kSectorSize && !IsHole(sector.data())) break;
  }
  if (blocks < identity_.sealed_blocks) {
    return Error(Cause::kCorrupt, "the file was cut short: block " +
                                      std::to_string(identity_.sealed_blocks - 1) + " is missing");
  }
  size_ = 0;
  if (blocks == 0) return OkStatus();
  std::array<uint8_t, kPayloadSize> payload;
  uint64_t required = 0;
  uint16_t length = 0;
  KEYHOLD_RETURN_IF_ERROR(maps_.Required(fd, blocks - 1, 1, identity_.sealed_blocks, &required));
  KEYHOLD_RETURN_IF_ERROR(ReadFully(context_.posix, fd, sector, DataSectorAt(blocks - 1)).status());
  KEYHOLD_RETURN_IF_ERROR(OpenBlock(sector.data(), blocks - 1, required, payload.data(), &length));
  crypto::Wipe(payload);
  size_ = StartOf(blocks - 1) + length;
  return OkStatus();
}

Status File::OpenBlock(const uint8_t* sector, uint64_t block, uint64_t required, uint8_t* payload,
                       uint16_t* length) {
  if (IsHole(sector)) {
    if (required != 0) return Corrupt(block, "was erased");
    std::memset(payload, 0, kPayloadSize);
    *length = 0;
    return OkStatus();
  }
  SectorHeader header;
  if (!ParseHeader(sector, &header)) return Corrupt(block, "is of an unknown form");
  if (header.counter < required) return Corrupt(block, "was replaced by an older copy of itself");
  const auto cipher = ciphers_.For(header.key);
  if (!cipher.ok()) return Corrupt(block, "is under a data key that is not in the key ring");
  if (!OpenSector(**cipher, {identity_.id, block, SectorKind::kData}, header, sector, payload)) {
    return Corrupt(block, "does not authenticate");
  }
  *length = header.length;
  return OkStatus();
}

Status File::LoadBlock(int fd, uint64_t block, uint8_t* payload) {
  if (block >= BlocksFor(size_)) {
    std::memset(payload, 0, kPayloadSize);
    return OkStatus();
  }
  if (const uint8_t* recent = recent_.Find(block)) {
    std::memcpy(payload, recent, kPayloadSize);
    return OkStatus();
  }
  std::array<uint8_t, kSectorSize> sector{};
  uint64_t required = 0;
  uint16_t length = 0;
  KEYHOLD_RETURN_IF_ERROR(maps_.Required(fd, block, 1, identity_.sealed_blocks, &required));
  KEYHOLD_RETURN_IF_ERROR(ReadFully(context_.posix, fd, sector, DataSectorAt(block)).status());
  return OpenBlock(sector.data(), block, required, payload, &length);
}

StatusOr<size_t> File::Read(int fd, uint64_t offset, crypto::MutableBytes out) {
  used_ = true;
  const std::shared_lock lock(mutex_);
  if (offset >= size_ || out.empty()) return 0;
  const size_t size = std::min<uint64_t>(out.size(), size_ - offset);
  const uint64_t end = BlockOf(offset + size - 1) + 1;
  for (uint64_t first = BlockOf(offset); first < end;) {
    const size_t count = RunLength(first, end);
    const Status status = ReadRun(fd, first, count, offset, out.first(size));
    if (!status.ok()) {
      crypto::Wipe(out.first(size));
      return status;
    }
    first += count;
  }
  return size;
}

// Blocks [first, first + count) of a read of `out` at `offset`: each straight into `out` where all of it is
// wanted.
Status File::ReadRun(int fd, uint64_t first, size_t count, uint64_t offset, crypto::MutableBytes out) {
  uint8_t* sectors = RunBuffer();
  std::array<uint64_t, kRunSectors> required;
  KEYHOLD_RETURN_IF_ERROR(maps_.Required(fd, first, count, identity_.sealed_blocks, required.data()));
  const crypto::MutableBytes run(sectors, count * kSectorSize);
  KEYHOLD_ASSIGN_OR_RETURN(const size_t got, ReadFully(context_.posix, fd, run, DataSectorAt(first)));
  std::memset(sectors + got, 0, run.size() - got);
  std::array<uint8_t, kPayloadSize> partial;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t start = StartOf(first + i);
    const uint64_t from = std::max(start, offset);
    const uint64_t to = std::min(start + kPayloadSize, offset + out.size());
    const bool whole = to - from == kPayloadSize;
    uint8_t* target = out.data() + (from - offset);
    uint16_t length = 0;
    KEYHOLD_RETURN_IF_ERROR(OpenBlock(sectors + i * kSectorSize, first + i, required[i],
                                      whole ? target : partial.data(), &length));
    if (!whole) std::memcpy(target, partial.data() + (from - start), to - from);
  }
  return OkStatus();
}

StatusOr<uint64_t> File::Seek(int fd, uint64_t offset, Whence whence) {
  const std::shared_lock lock(mutex_);
  if (offset >= size_) return ErrnoError(ENXIO, "seeking behind the end");
  const int mode = whence == Whence::kData ? SEEK_DATA : SEEK_HOLE;
  const uint64_t start = BlockOf(offset);
  uint64_t at = DataSectorAt(start);
  while (true) {
    const off_t found = context_.posix.LSeek(fd, static_cast<off_t>(at), mode);
    if (found < 0) return ErrnoError(static_cast<int>(-found), "seeking in a backing file");
    const uint64_t sector = static_cast<uint64_t>(found) / kSectorSize;
    at = (sector + 1) * kSectorSize;
    if (sector % kGroupSectors == 0) continue;  // a map: neither data nor hole
    const uint64_t block = BlocksIn(sector * kSectorSize);
    return std::min(size_, block == start ? offset : StartOf(block));
  }
}

}  // namespace keyhold::store
