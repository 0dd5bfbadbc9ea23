// What every key ring test needs: a directory, keys, a clock.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keyring/keyring.h"
#include "tests/base/fake_clock.h"
#include "tests/base/temp_dir.h"
#include "tests/kms/fake_kms.h"

namespace keyhold::keyring {

inline constexpr absl::Duration kBudget = absl::Seconds(5);

class Ring : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(crypto::InitSecretMemory().ok()); }

  Place At(Posix& posix) { return {posix, dir_.fd(), crypto::SystemRandom(), clock_}; }
  Place Here() { return At(SystemPosix()); }

  std::unique_ptr<KeyRing> MakeRing() {
    auto ring = KeyRing::Create(Here(), identity_, kms_, kBudget);
    EXPECT_TRUE(ring.ok()) << ring.status();
    return ring.ok() ? *std::move(ring) : nullptr;
  }
  StatusOr<std::unique_ptr<KeyRing>> Reopen(kms::Kms& kms, uint64_t min_epoch = 0) {
    return KeyRing::Open(Here(), {identity_, min_epoch}, kms, kBudget);
  }

  static std::string Exposed(const DataKeySource& keys, DataKeyId id) {
    const auto key = keys.Find(id);
    return key.ok() ? std::string(crypto::AsText(key->Expose())) : std::string(key.status().message());
  }

  // Of a scan that found nothing older than `target`.
  Proof ProofOf(DataKeyId target) const {
    return {target, clock_.Now() - absl::Minutes(1), clock_.Now(), 600, 2, 9, 5, 3, 1};
  }

  const Identity identity_{"c1b2", "us-east-1", "n1"};
  testing::FakeClock clock_;
  testing::TempDir dir_;
  testing::FakeKms kms_{testing::FakeKms::kKeyA, crypto::SystemRandom()};
  testing::FakeKms next_{testing::FakeKms::kKeyB, crypto::SystemRandom()};
};

}  // namespace keyhold::keyring
