// What kms's tests share: a provider over an AWS in this process, with a clock that waits take forward.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/provider.h"
#include "tests/base/fake_clock.h"
#include "tests/base/temp_dir.h"
#include "tests/kms/fake_aws.h"

namespace keyhold::kms {

inline constexpr absl::Duration kBudget = absl::Seconds(30);

inline StatusOr<std::string> BytesOf(StatusOr<Wrapped> wrapped) {
  if (!wrapped.ok()) return wrapped.status();
  return std::move(wrapped->bytes);
}

// Waiting takes no time but the clock's.
class ClockSleeper final : public Sleeper {
 public:
  explicit ClockSleeper(testing::FakeClock& clock) : clock_(clock) {}
  void Sleep(absl::Duration duration) override {
    waits.push_back(duration);
    clock_.Advance(duration);
  }
  std::vector<absl::Duration> waits;

 private:
  testing::FakeClock& clock_;
};

class Kmss : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(crypto::InitSecretMemory().ok()); }

  ProviderOptions Options() {
    return {environment_, dir_.File("platform.key"), "org-1", SystemPosix(),
            clock_,       crypto::SystemRandom(),    sleeper_};
  }

  // The key of `spec`, over the fake AWS.
  Kms& Open(const std::string& auth_principal = "") {
    if (provider_ == nullptr) provider_ = NewProvider(Options(), aws_);
    auto kms = provider_->Open({KeyType::kAwsKms, testing::FakeAws::kKey, auth_principal});
    EXPECT_TRUE(kms.ok()) << kms.status();
    kms_ = *std::move(kms);
    return *kms_;
  }

  const Context context_ = {{"keyhold:cluster", "c1"}, {"keyhold:store", "s1"}};
  const std::string secret_ = std::string(32, 's');
  Environment environment_ = {{"AWS_ACCESS_KEY_ID", "AKIAPLATFORM"}, {"AWS_SECRET_ACCESS_KEY", "secret"}};
  testing::TempDir dir_;
  testing::FakeClock clock_;
  ClockSleeper sleeper_{clock_};
  testing::FakeAws aws_;
  std::unique_ptr<KmsProvider> provider_;
  std::unique_ptr<Kms> kms_;
};

}  // namespace keyhold::kms
