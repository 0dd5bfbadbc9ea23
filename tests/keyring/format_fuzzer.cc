// A key ring's bytes, with a checksum that fits: what is read must be written to the same bytes again.
#include <cstdint>
#include <cstdlib>

#include "keyring/format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace keyring = keyhold::keyring;
  const std::string body(reinterpret_cast<const char*>(data), size);
  const std::string file = keyring::WithTrailer(body, {});
  const auto decoded = keyring::Decode(file);
  if (decoded.ok() && keyring::EncodeBody(decoded->contents) != body) std::abort();
  return 0;
}
