// Sectors and maps as they are read from a disk that may hold anything: no crash, and nothing opens but what
// was sealed.
#include <algorithm>

#include "store/seal_map.h"
#include "tests/store/fuzz_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyhold;
  using namespace keyhold::store;
  static keyhold::testing::FuzzStore fuzz;
  const FileId file{1, 2, 3};
  FileCiphers ciphers(fuzz.keys, file);
  std::array<uint8_t, kSectorSize> sector{};
  std::copy_n(data, std::min(size, sector.size()), sector.data());  // of nothing, `data` may be null
  SectorHeader header;
  if (!IsHole(sector.data()) && ParseHeader(sector.data(), &header)) {
    if (header.key == 0 || header.length > kPayloadSize) __builtin_trap();
    const auto cipher = ciphers.For(header.key);
    std::array<uint8_t, kPayloadSize> payload;
    if (cipher.ok() &&
        OpenSector(**cipher, {file, 0, SectorKind::kData}, header, sector.data(), payload.data())) {
      __builtin_trap();
    }
  }
  fuzz.posix.content.assign(reinterpret_cast<const char*>(data), size);
  SealMap map(fuzz.context, ciphers, file, nullptr);
  if (map.Read(0, 0).ok()) __builtin_trap();
  return 0;
}
