// A share or a recovery file: what is read is written to the same text again.
#include <cstdint>
#include <cstdlib>

#include "recovery/files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace recovery = keyhold::recovery;
  static const bool has_memory = keyhold::crypto::InitSecretMemory().ok();
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto share = recovery::ParseShare(text);
  if (has_memory && share.ok() && recovery::EncodeShare(*share).ExposeText() != text) std::abort();
  const auto file = recovery::ParseFile(text);
  if (file.ok() && recovery::EncodeFile(*file) != text) std::abort();
  return 0;
}
