#include "store/sector.h"

#include <cstring>

#include "crypto/hash.h"
#include "store/bytes.h"

namespace keyhold::store {
namespace {

// Offsets in the header.
constexpr size_t kKeyAt = 0;
constexpr size_t kLengthAt = 4;
constexpr size_t kFlagsAt = 6;
constexpr size_t kCounterAt = 8;
constexpr size_t kNonceAt = 16;
constexpr size_t kReservedAt = 28;
constexpr size_t kTagAt = kHeaderSize + kPayloadSize;

constexpr size_t kBoundHeader =
    kNonceAt;  // the part before the nonce is associated data; the rest is the nonce, and 0
constexpr size_t kAssociatedSize = kBoundHeader + sizeof(FileId) + 8 + 1;

std::array<uint8_t, kAssociatedSize> AssociatedData(const uint8_t* sector, const SectorPlace& place) {
  std::array<uint8_t, kAssociatedSize> data;
  std::memcpy(data.data(), sector, kBoundHeader);
  std::memcpy(data.data() + kBoundHeader, place.file.data(), place.file.size());
  Save<uint64_t>(data.data() + kBoundHeader + sizeof(FileId), place.number);
  data[kAssociatedSize - 1] = static_cast<uint8_t>(place.kind);
  return data;
}

}  // namespace

bool IsHole(const uint8_t* sector) {
  return sector[0] == 0 && std::memcmp(sector, sector + 1, kSectorSize - 1) == 0;
}

void SealSector(const crypto::Aes256Gcm& cipher, const SectorPlace& place, const SectorHeader& header,
                const uint8_t* payload, uint8_t* sector) {
  Save<uint32_t>(sector + kKeyAt, header.key);
  Save<uint16_t>(sector + kLengthAt, header.length);
  Save<uint16_t>(sector + kFlagsAt, 0);
  Save<uint64_t>(sector + kCounterAt, header.counter);
  std::memcpy(sector + kNonceAt, header.nonce.data(), header.nonce.size());
  Save<uint32_t>(sector + kReservedAt, 0);
  cipher.Seal(header.nonce, AssociatedData(sector, place), {payload, kPayloadSize}, sector + kHeaderSize,
              sector + kTagAt);
}

bool ParseHeader(const uint8_t* sector, SectorHeader* header) {
  header->key = Load<uint32_t>(sector + kKeyAt);
  header->length = Load<uint16_t>(sector + kLengthAt);
  header->counter = Load<uint64_t>(sector + kCounterAt);
  std::memcpy(header->nonce.data(), sector + kNonceAt, header->nonce.size());
  return header->key != 0 && header->length <= kPayloadSize && Load<uint16_t>(sector + kFlagsAt) == 0 &&
         Load<uint32_t>(sector + kReservedAt) == 0;
}

bool OpenSector(const crypto::Aes256Gcm& cipher, const SectorPlace& place, const SectorHeader& header,
                const uint8_t* sector, uint8_t* payload) {
  return cipher.Open(header.nonce, AssociatedData(sector, place), {sector + kHeaderSize, kPayloadSize},
                     sector + kTagAt, payload);
}

void FileCiphers::Drop() {
  const std::lock_guard lock(mutex_);
  ciphers_.clear();
}

StatusOr<const crypto::Aes256Gcm*> FileCiphers::For(DataKeyId key) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, cipher] : ciphers_) {
    if (id == key) return cipher.get();
  }
  KEYHOLD_ASSIGN_OR_RETURN(const keyring::DataKey data_key, keys_.Find(key));
  std::string info = "keyhold file key v1";
  info.append(reinterpret_cast<const char*>(file_.data()), file_.size());
  const crypto::SecretBytes file_key = crypto::Hkdf(data_key.Expose(), crypto::AsBytes(info), 32);
  ciphers_.emplace_back(key, std::make_unique<crypto::Aes256Gcm>(file_key.Expose()));
  return ciphers_.back().second.get();
}

}  // namespace keyhold::store
