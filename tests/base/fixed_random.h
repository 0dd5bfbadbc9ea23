// Randomness that is the same in every run: for golden files.
#pragma once

#include <algorithm>

#include "crypto/hash.h"
#include "crypto/random.h"

namespace keyhold::testing {

class FixedRandom final : public crypto::Random {
 public:
  void Fill(crypto::MutableBytes out) override {
    for (size_t done = 0; done < out.size();) {
      const std::string seed = "fixed random " + std::to_string(counter_++);
      const crypto::Sha256Digest block = crypto::Sha256(crypto::AsBytes(seed));
      const size_t size = std::min(block.size(), out.size() - done);
      std::copy_n(block.begin(), size, out.begin() + static_cast<ptrdiff_t>(done));
      done += size;
    }
  }
  void FillSecret(crypto::MutableBytes out) override { Fill(out); }

 private:
  uint64_t counter_ = 0;
};

}  // namespace keyhold::testing
