// Little-endian integers in the store's formats.
#pragma once

#include <cstdint>
#include <cstring>

namespace keyhold::store {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the formats are little-endian, and so is this host");

template <typename T>
T Load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
void Save(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

}  // namespace keyhold::store
