// Writing: runs of sectors, size changes, holes.
#include <linux/falloc.h>
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "store/file.h"
#include "store/io.h"

namespace keyhold::store {
namespace {

constexpr size_t kWriteSectors = 256;

uint8_t* WriteBuffer() {
  thread_local const auto buffer = std::make_unique<uint8_t[]>(kWriteSectors * kSectorSize);
  return buffer.get();
}

}  // namespace

Status File::Write(int fd, uint64_t offset, crypto::Bytes in, Durability durability) {
  used_ = true;
  const std::unique_lock lock(mutex_);
  if (offset > kMaxFileSize || in.size() > kMaxFileSize - offset) {
    return ErrnoError(EFBIG, "writing behind the largest offset");
  }
  if (in.empty()) return OkStatus();
  return WriteLocked(fd, offset, in, durability);
}

Status File::WriteLocked(int fd, uint64_t offset, crypto::Bytes in, Durability durability) {
  const uint64_t new_size = std::max(size_, offset + in.size());
  const uint64_t end = BlockOf(offset + in.size() - 1) + 1;
  for (uint64_t first = BlockOf(offset); first < end;) {
    const size_t count = std::min({end - first, uint64_t{kWriteSectors}, kGroupBlocks - IndexInGroup(first)});
    const Status status = WriteRun(fd, first, count, offset, in, new_size, durability);
    if (!status.ok()) {
      recent_.Drop(first, first + count);
      if (const Status size = LoadSize(fd); !size.ok()) return size;
      return status;
    }
    first += count;
    size_ = std::max(size_, std::min(new_size, StartOf(first)));
  }
  return OkStatus();
}

// The payload of `block` after a write of `in` at `offset`: in `in` itself where all of the block is written,
// else in `scratch`.
StatusOr<const uint8_t*> File::PayloadFor(int fd, uint64_t block, uint64_t offset, crypto::Bytes in,
                                          uint8_t* scratch) {
  const uint64_t start = StartOf(block);
  const uint64_t from = std::max(start, offset);
  const uint64_t to = std::min(start + kPayloadSize, offset + in.size());
  const uint8_t* source = in.data() + (from - offset);
  if (to - from == kPayloadSize) {
    recent_.Drop(block, block + 1);
    return source;
  }
  if (from > start || to < std::min(size_, start + kPayloadSize)) {
    KEYHOLD_RETURN_IF_ERROR(LoadBlock(fd, block, scratch));
  } else {
    std::memset(scratch, 0, kPayloadSize);
  }
  std::memcpy(scratch + (from - start), source, to - from);
  recent_.Put(block, scratch);
  return scratch;
}

Status File::WriteRun(int fd, uint64_t first, size_t count, uint64_t offset, crypto::Bytes in,
                      uint64_t new_size, Durability durability) {
  SectorHeader header;
  KEYHOLD_ASSIGN_OR_RETURN(header.key, context_.keys.KeyToSeal(count));
  header.counter = context_.counter.Next(floor_);
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::Aes256Gcm* cipher, ciphers_.For(header.key));
  std::array<crypto::GcmNonce, kWriteSectors> nonces;
  context_.random.Fill({nonces.front().data(), count * sizeof(crypto::GcmNonce)});
  uint8_t* sectors = WriteBuffer();
  std::array<uint8_t, kPayloadSize> scratch;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t block = first + i;
    KEYHOLD_ASSIGN_OR_RETURN(const uint8_t* payload, PayloadFor(fd, block, offset, in, scratch.data()));
    header.nonce = nonces[i];
    header.length = static_cast<uint16_t>(std::min<uint64_t>(kPayloadSize, new_size - StartOf(block)));
    SealSector(*cipher, {identity_.id, block, SectorKind::kData}, header, payload, sectors + i * kSectorSize);
  }
  KEYHOLD_RETURN_IF_ERROR(WriteFully(context_.posix, fd, {sectors, count * kSectorSize}, DataSectorAt(first),
                                     durability == Durability::kDSync ? RWF_DSYNC : 0));
  if (pending_.empty()) pending_since_ = header.counter;
  Counters& written = durability == Durability::kDSync ? durable_ : pending_;
  for (uint64_t block = first; block < first + count; ++block) {
    if (durability == Durability::kDSync) pending_.erase(block);
    written[block] = header.counter;
  }
  return OkStatus();
}

Status File::SetTimes(int fd, const timespec times[2]) {
  const std::unique_lock lock(mutex_);
  const int result = context_.posix.UTimeNsAt(fd, "", times, AT_EMPTY_PATH);
  return result == 0 ? OkStatus() : ErrnoError(-result, "changing times");
}

Status File::Truncate(int fd, uint64_t size) {
  const std::unique_lock lock(mutex_);
  if (size > kMaxFileSize) return ErrnoError(EFBIG, "truncating to more than the largest size");
  if (size > size_) return GrowLocked(fd, size);
  return size < size_ ? ShrinkLocked(fd, size) : OkStatus();
}

// The new last byte is written, and with it a last block that tells the size; what is between stays a hole.
Status File::GrowLocked(int fd, uint64_t size) {
  const uint8_t zero = 0;
  return WriteLocked(fd, size - 1, {&zero, 1}, Durability::kLazy);
}

Status File::ShrinkLocked(int fd, uint64_t size) {
  const uint64_t blocks = BlocksFor(size);
  KEYHOLD_RETURN_IF_ERROR(LowerSealedLimit(fd, blocks));
  Forget(blocks, UINT64_MAX);
  if (const size_t tail = OffsetInBlock(size); tail != 0) {
    std::array<uint8_t, kPayloadSize> payload;
    KEYHOLD_RETURN_IF_ERROR(LoadBlock(fd, blocks - 1, payload.data()));
    std::memset(payload.data() + tail, 0, kPayloadSize - tail);
    recent_.Put(blocks - 1, payload.data());
    const uint64_t old_size = std::exchange(size_, size);
    const Status status =
        WriteRun(fd, blocks - 1, 1, StartOf(blocks - 1), {payload.data(), tail}, size, Durability::kDSync);
    crypto::Wipe(payload);
    if (!status.ok()) {
      size_ = old_size;
      return status;
    }
  }
  const int result = context_.posix.FTruncate(fd, static_cast<off_t>(BackingSize(blocks)));
  if (result != 0) {
    KEYHOLD_RETURN_IF_ERROR(LoadSize(fd));
    return ErrnoError(-result, "cutting a backing file");
  }
  size_ = size;
  return OkStatus();
}

void File::Forget(uint64_t first, uint64_t end) {
  const auto inside = [&](const auto& entry) { return entry.first >= first && entry.first < end; };
  std::erase_if(pending_, inside);
  std::erase_if(durable_, inside);
  for (Counters& syncing : syncing_) std::erase_if(syncing, inside);
  recent_.Drop(first, end);
}

Status File::Allocate(int fd, int mode, uint64_t offset, uint64_t size) {
  const std::unique_lock lock(mutex_);
  if (size == 0) return ErrnoError(EINVAL, "allocating nothing");
  if (offset > kMaxFileSize || size > kMaxFileSize - offset) return ErrnoError(EFBIG, "allocating too far");
  const uint64_t end = offset + size;
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0: {
      const uint64_t from = DataSectorAt(BlockOf(offset));
      const uint64_t to = DataSectorAt(BlockOf(end - 1)) + kSectorSize;
      const int result = context_.posix.FAllocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                                                  static_cast<off_t>(to - from));
      if (result != 0) return ErrnoError(-result, "allocating space");
      break;
    }
    case FALLOC_FL_PUNCH_HOLE:
      if (!keep_size) return ErrnoError(EOPNOTSUPP, "punching a hole needs KEEP_SIZE");
      return ZeroLocked(fd, offset, std::min(end, size_));
    case FALLOC_FL_ZERO_RANGE:
      KEYHOLD_RETURN_IF_ERROR(ZeroLocked(fd, offset, std::min(end, size_)));
      break;
    default:
      return ErrnoError(EOPNOTSUPP, "this mode of fallocate is not offered");
  }
  return !keep_size && end > size_ ? GrowLocked(fd, end) : OkStatus();
}

// Whole blocks become holes; the ends of the range, and the block that tells the size, are written as zeroes.
Status File::ZeroLocked(int fd, uint64_t offset, uint64_t end) {
  const std::vector<uint8_t> zeroes(kPayloadSize);
  while (offset < end) {
    const uint64_t block = BlockOf(offset);
    const uint64_t last = BlocksFor(size_) - 1;
    const uint64_t whole_end = std::min(BlockOf(end), last);
    if (OffsetInBlock(offset) == 0 && block < whole_end) {
      KEYHOLD_RETURN_IF_ERROR(UnsealRange(fd, block, whole_end));
      KEYHOLD_RETURN_IF_ERROR(PunchBlocks(fd, block, whole_end));
      offset = StartOf(whole_end);
      continue;
    }
    const size_t part = std::min<uint64_t>(end - offset, kPayloadSize - OffsetInBlock(offset));
    KEYHOLD_RETURN_IF_ERROR(WriteLocked(fd, offset, crypto::Bytes(zeroes).first(part), Durability::kLazy));
    offset += part;
  }
  return OkStatus();
}

Status File::PunchBlocks(int fd, uint64_t first, uint64_t end) {
  Forget(first, end);
  while (first < end) {
    const uint64_t count = std::min(end - first, kGroupBlocks - IndexInGroup(first));
    const int result = context_.posix.FAllocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                                static_cast<off_t>(DataSectorAt(first)),
                                                static_cast<off_t>(count * kSectorSize));
    if (result != 0) return ErrnoError(-result, "punching a hole into a backing file");
    first += count;
  }
  return OkStatus();
}

}  // namespace keyhold::store
