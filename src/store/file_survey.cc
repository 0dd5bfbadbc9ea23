// Re-encryption and verification of a file, some blocks at a time.
#include <algorithm>
#include <cstring>
#include <utility>

#include "store/file.h"
#include "store/io.h"

namespace keyhold::store {
namespace {

// Little enough that traffic hardly notices the lock.
constexpr uint64_t kSurveySectors = 64;

}  // namespace

Identity File::identity() const {
  const std::shared_lock lock(mutex_);
  return identity_;
}

Status File::SetKeys(int fd, DataKeyId key, DataKeyId previous) {
  const std::unique_lock lock(mutex_);
  Identity changed = identity_;
  changed.key = key;
  changed.previous = previous;
  return Renew(fd, changed);
}

StatusOr<std::optional<uint64_t>> File::LookAt(int fd, uint64_t first, SurveyKind kind, Survey* survey) {
  std::unique_lock writing(mutex_, std::defer_lock);
  std::shared_lock reading(mutex_, std::defer_lock);
  kind == SurveyKind::kRewrite ? writing.lock() : reading.lock();
  const uint64_t covered = std::max(identity_.sealed_blocks, mapped_blocks_);
  if (first >= covered) {  // holes of any size are passed over where no map could say that they are none
    const off_t found = context_.posix.LSeek(fd, static_cast<off_t>(DataSectorAt(first)), SEEK_DATA);
    if (found == -ENXIO) return std::nullopt;
    if (found < 0) return ErrnoError(static_cast<int>(-found), "seeking in a backing file");
    first = std::max(first, BlocksIn(static_cast<uint64_t>(found)));
  }
  if (first >= BlocksFor(size_)) return std::nullopt;
  if ((IndexInGroup(first) == 0) && first < covered) {
    KEYHOLD_RETURN_IF_ERROR(LookAtMap(fd, GroupOf(first), kind, survey));
  }
  const uint64_t count =
      std::min({kSurveySectors, BlocksFor(size_) - first, kGroupBlocks - IndexInGroup(first)});
  std::array<uint64_t, kSurveySectors> required;
  if (!maps_.Required(fd, first, count, identity_.sealed_blocks, required.data()).ok()) required.fill(0);
  std::vector<uint8_t> sectors(count * kSectorSize);
  KEYHOLD_RETURN_IF_ERROR(ReadFully(context_.posix, fd, sectors, DataSectorAt(first)).status());
  survey->bytes += sectors.size();
  std::vector<bool> chosen(count);
  for (uint64_t i = 0; i < count; ++i) {
    chosen[i] = Fits(sectors.data() + i * kSectorSize, first + i, required[i], kind, survey);
  }
  if (kind == SurveyKind::kRewrite) {
    KEYHOLD_RETURN_IF_ERROR(Rewrite(fd, first, sectors.data(), chosen, survey));
  }
  return first + count;
}

// Counts a block; true when it is there, sound as far as `kind` asks, and not under the active key.
bool File::Fits(const uint8_t* sector, uint64_t block, uint64_t required, SurveyKind kind, Survey* survey) {
  SectorHeader header;
  const bool there = !IsHole(sector);
  const bool known = there && ParseHeader(sector, &header);
  const bool active = known && header.key == context_.keys.Active();
  if (kind == SurveyKind::kVerify || (kind == SurveyKind::kRewrite && !active) || !known) {
    std::array<uint8_t, kPayloadSize> payload;
    uint16_t length = 0;
    const Status opened = OpenBlock(sector, block, required, payload.data(), &length);
    crypto::Wipe(payload);
    if (!opened.ok()) {
      survey->damaged.emplace_back(opened.message());
      if (known) ++survey->blocks[header.key];
      return false;
    }
  }
  if (known) ++survey->blocks[header.key];
  return known && !active;
}

Status File::Rewrite(int fd, uint64_t first, uint8_t* sectors, const std::vector<bool>& chosen,
                     Survey* survey) {
  std::array<uint8_t, kPayloadSize> payload;
  for (size_t from = 0; from < chosen.size();) {
    if (!chosen[from]) {
      ++from;
      continue;
    }
    const size_t to = static_cast<size_t>(
        std::find(chosen.begin() + static_cast<ptrdiff_t>(from), chosen.end(), false) - chosen.begin());
    KEYHOLD_ASSIGN_OR_RETURN(const DataKeyId key, context_.keys.KeyToSeal(to - from));
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::Aes256Gcm* cipher, ciphers_.For(key));
    const uint64_t counter = context_.counter.Next(floor_);
    for (size_t i = from; i < to; ++i) {
      uint8_t* sector = sectors + i * kSectorSize;
      SectorHeader header;
      if (!ParseHeader(sector, &header)) return Error(Cause::kInternal, "a block changed under its lock");
      uint16_t length = 0;
      KEYHOLD_RETURN_IF_ERROR(OpenBlock(sector, first + i, 0, payload.data(), &length));
      header.key = key;
      header.counter = counter;
      context_.random.Fill(header.nonce);
      SealSector(*cipher, {identity_.id, first + i, SectorKind::kData}, header, payload.data(), sector);
    }
    crypto::Wipe(payload);
    const crypto::Bytes run(sectors + from * kSectorSize, (to - from) * kSectorSize);
    KEYHOLD_RETURN_IF_ERROR(WriteKeepingTimes(context_.posix, fd, run, DataSectorAt(first + from)));
    if (pending_.empty()) pending_since_ = counter;
    for (size_t i = from; i < to; ++i) pending_[first + i] = counter;
    survey->bytes += run.size();
    survey->rewritten += to - from;
    from = to;
  }
  return OkStatus();
}

Status File::LookAtMap(int fd, uint64_t group, SurveyKind kind, Survey* survey) {
  std::array<uint8_t, kSectorSize> sector{};
  KEYHOLD_RETURN_IF_ERROR(ReadFully(context_.posix, fd, sector, MapSectorAt(group)).status());
  survey->bytes += sector.size();
  const auto entries = maps_.Read(fd, group);
  SectorHeader header;
  if (!entries.ok() || !ParseHeader(sector.data(), &header)) {
    if (!entries.ok() && CauseOf(entries.status()) != Cause::kCorrupt) return entries.status();
    survey->damaged.push_back(entries.ok() ? "the map of group " + std::to_string(group) + " is damaged"
                                           : std::string(entries.status().message()));
    return OkStatus();
  }
  ++survey->maps[header.key];
  if (kind == SurveyKind::kVerify) survey->map_counters[group] = header.counter;
  if (kind != SurveyKind::kRewrite || header.key == context_.keys.Active()) return OkStatus();
  survey->bytes += sector.size();
  ++survey->rewritten;
  const uint64_t counter = context_.counter.Next(floor_);
  KEYHOLD_RETURN_IF_ERROR(ReserveCounters(fd, counter));
  return WriteMap(fd, group, *entries, counter);
}

}  // namespace keyhold::store
