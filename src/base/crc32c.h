// CRC-32C (Castagnoli), RFC 3720 appendix B.4: what Google's APIs check bytes with. Against accidents only.
#pragma once

#include <cstdint>
#include <span>

namespace keyhold {

// Of all of `bytes`; 0 for none.
uint32_t Crc32c(std::span<const uint8_t> bytes);

}  // namespace keyhold
