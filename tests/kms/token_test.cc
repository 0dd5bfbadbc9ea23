#include "kms/token.h"

#include <gtest/gtest.h>

#include "tests/base/fake_clock.h"

namespace keyhold::kms {
namespace {

class Tokens : public ::testing::Test {
 protected:
  StatusOr<AccessToken> Fetch() {
    ++fetched_;
    if (!failure_.ok()) return failure_;
    return AccessToken{crypto::SecretBytes::CopyOf(crypto::AsBytes("token" + std::to_string(fetched_))),
                       clock_.Now() + absl::Hours(1)};
  }
  std::string Get() {
    const auto token = tokens_.Get(absl::Seconds(1));
    return token.ok() ? std::string((*token)->value.ExposeText())
                      : std::string(CauseName(CauseOf(token.status())));
  }

  testing::FakeClock clock_;
  Status failure_;
  int fetched_ = 0;
  CachedTokens tokens_{[this](absl::Duration) { return Fetch(); }, clock_};
};

TEST_F(Tokens, AreKeptUntilTheirEndIsNear) {
  EXPECT_EQ(Get(), "token1");
  clock_.Advance(absl::Minutes(55));
  EXPECT_EQ(Get(), "token1");
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(Get(), "token2");
}

TEST_F(Tokens, ServeOnWhileNoNewOneCanBeFetchedUntilTheyEnd) {
  EXPECT_EQ(Get(), "token1");
  clock_.Advance(absl::Minutes(58));
  failure_ = Error(Cause::kKmsUnreachable, "away");
  EXPECT_EQ(Get(), "token1");
  failure_ = Error(Cause::kKmsDenied, "no more");
  EXPECT_EQ(Get(), "KMS_DENIED");
  failure_ = Error(Cause::kKmsUnreachable, "away");
  clock_.Advance(absl::Minutes(3));
  EXPECT_EQ(Get(), "KMS_UNREACHABLE");
}

TEST_F(Tokens, ForgottenIsNotHandedOutAgain) {
  const Token first = *tokens_.Get(absl::Seconds(1));
  tokens_.Forget(first);
  EXPECT_EQ(Get(), "token2");
  tokens_.Forget(first);
  EXPECT_EQ(Get(), "token2") << "only what was refused";
}

}  // namespace
}  // namespace keyhold::kms
