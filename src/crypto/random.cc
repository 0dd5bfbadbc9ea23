#include "crypto/random.h"

#include <openssl/rand.h>

#include <array>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace keyhold::crypto {

Random& SystemRandom() {
  class System final : public Random {
   public:
    void Fill(MutableBytes out) override {
      if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
    }
    void FillSecret(MutableBytes out) override {
      if (RAND_priv_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
    }
  };
  static auto* random = new System;
  return *random;
}

std::string NewUuid(Random& random) {
  std::array<uint8_t, 16> id;
  random.Fill(id);
  id[6] = (id[6] & 0x0f) | 0x40;
  id[8] = (id[8] & 0x3f) | 0x80;
  const std::string_view text = AsText(id);
  const std::string hex = absl::BytesToHexString(absl::string_view(text.data(), text.size()));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4),
                      "-", hex.substr(20));
}

}  // namespace keyhold::crypto
