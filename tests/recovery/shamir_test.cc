#include "recovery/shamir.h"

#include <gtest/gtest.h>

#include <bit>

#include "tests/base/fixed_random.h"

namespace keyhold::recovery {
namespace {

const std::string kSecret = "0123456789abcdef0123456789ABCDEF";

std::vector<NumberedShare> Chosen(const std::vector<NumberedShare>& all, unsigned choice) {
  std::vector<NumberedShare> chosen;
  for (size_t i = 0; i < all.size(); ++i) {
    if ((choice >> i & 1) != 0) chosen.push_back({all[i].number, all[i].bytes.Clone()});
  }
  return chosen;
}

TEST(Shamir, EveryThresholdOfSharesGivesTheSecretAndNoFewer) {
  for (int count = 2; count <= 6; ++count) {
    for (int threshold = kMinThreshold; threshold <= count; ++threshold) {
      const auto shares = Split(crypto::AsBytes(kSecret), threshold, count, crypto::SystemRandom());
      ASSERT_EQ(shares.size(), static_cast<size_t>(count));
      for (unsigned choice = 1; choice < 1U << count; ++choice) {
        const crypto::SecretBytes joined = Join(Chosen(shares, choice));
        EXPECT_EQ(joined.ExposeText() == kSecret, std::popcount(choice) >= threshold)
            << threshold << " of " << count << ", choice " << choice;
      }
    }
  }
}

TEST(Shamir, TheOrderOfSharesIsNoMatter) {
  auto shares = Split(crypto::AsBytes(kSecret), 3, 5, crypto::SystemRandom());
  std::vector<NumberedShare> turned;
  for (const size_t i : {4, 0, 2}) turned.push_back({shares[i].number, shares[i].bytes.Clone()});
  EXPECT_EQ(Join(turned).ExposeText(), kSecret);
}

TEST(Shamir, AsManySharesAsThereAreNumbers) {
  const auto shares = Split(crypto::AsBytes(kSecret), kMaxShares, kMaxShares, crypto::SystemRandom());
  ASSERT_EQ(shares.size(), 255U);
  EXPECT_EQ(shares.back().number, 255);
  EXPECT_EQ(Join(shares).ExposeText(), kSecret);
}

// The library would take random(3) if it were let: all that it draws comes from the argument.
TEST(Shamir, RandomnessIsTheArguments) {
  testing::FixedRandom one, same;
  const auto first = Split(crypto::AsBytes(kSecret), 2, 3, one);
  const auto second = Split(crypto::AsBytes(kSecret), 2, 3, same);
  const auto third = Split(crypto::AsBytes(kSecret), 2, 3, same);
  const auto other = Split(crypto::AsBytes(kSecret), 2, 3, crypto::SystemRandom());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].bytes.ExposeText(), second[i].bytes.ExposeText());
    EXPECT_NE(first[i].bytes.ExposeText(), third[i].bytes.ExposeText());
    EXPECT_NE(first[i].bytes.ExposeText(), other[i].bytes.ExposeText());
    EXPECT_NE(first[i].bytes.ExposeText(), kSecret);
  }
}

}  // namespace
}  // namespace keyhold::recovery
