// One sector: a block (or a group's map) as it stands on the disk, sealed with AES-256-GCM under its file's
// key and bound to file, number, kind and data key. Format: docs/formats/store.md.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "crypto/aead.h"
#include "store/context.h"
#include "store/layout.h"

namespace keyhold::store {

enum class SectorKind : uint8_t { kData = 1, kMap = 2 };

// Where a sector belongs.
struct SectorPlace {
  FileId file;
  uint64_t number;  // of the block, or of the group
  SectorKind kind;
};

struct SectorHeader {
  DataKeyId key = 0;
  uint16_t length = 0;   // bytes of the payload that are in use
  uint64_t counter = 0;  // of the write that made it
  crypto::GcmNonce nonce{};
};

// True for 4096 zero bytes: a block never written.
bool IsHole(const uint8_t* sector);

// Seals `payload` (4048 bytes, zero behind header.length) into `sector` (4096 bytes, elsewhere).
void SealSector(const crypto::Aes256Gcm& cipher, const SectorPlace& place, const SectorHeader& header,
                const uint8_t* payload, uint8_t* sector);

// The clear part of a sector. False when no version of Keyhold that this one knows wrote it.
[[nodiscard]] bool ParseHeader(const uint8_t* sector, SectorHeader* header);

// Opens a sector whose header was parsed, into `payload` (4048 bytes, elsewhere). False when it does not
// authenticate for `place`.
[[nodiscard]] bool OpenSector(const crypto::Aes256Gcm& cipher, const SectorPlace& place,
                              const SectorHeader& header, const uint8_t* sector, uint8_t* payload);

// One file's ciphers, a key for each data key that its blocks are under, expanded when first used. Safe to
// use from any thread.
class FileCiphers {
 public:
  FileCiphers(const keyring::DataKeySource& keys, const FileId& file) : keys_(keys), file_(file) {}

  // Valid until Drop(). Errors as of DataKeySource::Find.
  StatusOr<const crypto::Aes256Gcm*> For(DataKeyId key);

  // Lets go of the expanded keys, of which nobody uses one now.
  void Drop();

 private:
  const keyring::DataKeySource& keys_;
  const FileId file_;
  std::mutex mutex_;
  std::vector<std::pair<DataKeyId, std::unique_ptr<crypto::Aes256Gcm>>> ciphers_;  // guarded by mutex_
};

}  // namespace keyhold::store
