// What fuzzers work with: keys and randomness that are the same in every run.
#pragma once

#include "store/context.h"
#include "tests/base/fake_clock.h"
#include "tests/base/fixed_random.h"
#include "tests/store/memory_posix.h"

namespace keyhold::testing {

class FuzzKeys final : public keyring::DataKeySource {
 public:
  FuzzKeys() { (void)crypto::InitSecretMemory(); }
  keyring::DataKeyId Active() const override { return 2; }
  StatusOr<keyring::DataKey> Find(keyring::DataKeyId id) const override {
    if (id != 1 && id != 2) return Error(Cause::kNotFound, "no such data key");
    return keyring::DataKey::From(
        crypto::SecretBytes::CopyOf(crypto::AsBytes(std::string(32, static_cast<char>('k' + id)))));
  }
  StatusOr<keyring::DataKeyId> KeyToSeal(uint64_t) const override { return Active(); }
};

struct FuzzStore {
  FuzzKeys keys;
  FixedRandom random;
  FakeClock clock;
  store::WriteCounter counter{clock};
  MemoryPosix posix;
  store::Context context{posix, random, keys, counter};
};

}  // namespace keyhold::testing
