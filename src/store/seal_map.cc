#include "store/seal_map.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "store/bytes.h"
#include "store/io.h"

namespace keyhold::store {

Status SealMap::Required(int fd, uint64_t first, size_t count, uint64_t limit, uint64_t* out) {
  std::fill_n(out, count, 0);
  if (first >= limit) return OkStatus();
  KEYHOLD_ASSIGN_OR_RETURN(const MapEntries entries, Read(fd, GroupOf(first)));
  const size_t covered = std::min<uint64_t>(count, limit - first);
  std::copy_n(entries.begin() + static_cast<ptrdiff_t>(IndexInGroup(first)), covered, out);
  return OkStatus();
}

StatusOr<MapEntries> SealMap::Read(int fd, uint64_t group) {
  const std::lock_guard lock(mutex_);
  for (auto it = cache_.begin(); it != cache_.end(); ++it) {
    if (it->first != group) continue;
    cache_.splice(cache_.begin(), cache_, it);
    return it->second;
  }
  std::array<uint8_t, kSectorSize> sector;
  KEYHOLD_ASSIGN_OR_RETURN(const size_t size, ReadFully(context_.posix, fd, sector, MapSectorAt(group)));
  SectorHeader header;
  if (size != kSectorSize || !ParseHeader(sector.data(), &header)) {
    return Error(Cause::kCorrupt, "the map of group " + std::to_string(group) + " is missing or damaged");
  }
  const auto cipher = ciphers_.For(header.key);
  if (!cipher.ok()) {
    return Error(Cause::kCorrupt, "the map of group " + std::to_string(group) +
                                      " is under a data key that is not in the key ring");
  }
  std::array<uint8_t, kPayloadSize> payload;
  if (!OpenSector(**cipher, {file_, group, SectorKind::kMap}, header, sector.data(), payload.data())) {
    return Error(Cause::kCorrupt, "the map of group " + std::to_string(group) + " does not authenticate");
  }
  if (register_ != nullptr && header.counter < register_->Least(file_, PartOfMap(group))) {
    return Error(Cause::kCorrupt, "the map of group " + std::to_string(group) +
                                      " is an older copy: the store's register has a newer one; put the "
                                      "latest one back");
  }
  MapEntries entries;
  std::memcpy(entries.data(), payload.data(), sizeof entries);
  cache_.emplace_front(group, entries);
  if (cache_.size() > kCachedGroups) cache_.pop_back();
  return entries;
}

Status SealMap::Write(int fd, uint64_t group, const MapEntries& entries, uint64_t counter) {
  SectorHeader header;
  KEYHOLD_ASSIGN_OR_RETURN(header.key, context_.keys.KeyToSeal(1));
  header.length = kPayloadSize;
  header.counter = counter;
  context_.random.Fill(header.nonce);
  KEYHOLD_ASSIGN_OR_RETURN(const crypto::Aes256Gcm* cipher, ciphers_.For(header.key));
  std::array<uint8_t, kPayloadSize> payload{};
  std::memcpy(payload.data(), entries.data(), sizeof entries);
  std::array<uint8_t, kSectorSize> sector;
  SealSector(*cipher, {file_, group, SectorKind::kMap}, header, payload.data(), sector.data());
  const std::lock_guard lock(mutex_);
  cache_.remove_if([&](const auto& cached) { return cached.first == group; });
  return WriteKeepingTimes(context_.posix, fd, sector, MapSectorAt(group));
}

void SealMap::Drop(uint64_t group) {
  const std::lock_guard lock(mutex_);
  cache_.remove_if([&](const auto& cached) { return cached.first >= group; });
}

}  // namespace keyhold::store
