// What a user writes as a key spec: parsed, it must come out the same again; refused, with a bounded message.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "kms/key_spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using keyhold::kms::ParseKeySpec;
  const auto spec = ParseKeySpec({reinterpret_cast<const char*>(data), size});
  if (!spec.ok()) {
    if (spec.status().message().size() > 2000) std::abort();
    return 0;
  }
  const auto again = ParseKeySpec(keyhold::kms::ToJson(*spec).dump());
  if (!again.ok() || !(*again == *spec)) std::abort();
  return 0;
}
