// A recovery key as people have it: made, shared, and opened again by some of them.
#include "recovery/recovery_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

namespace keyhold::recovery {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kBits = 2048;  // quicker to make than a real one

class RecoveryKey : public ::testing::Test {
 protected:
  static const NewRecoveryKey& Made() {
    static const NewRecoveryKey made = *MakeRecoveryKey("c1", 3, 5, crypto::SystemRandom(), kBits);
    return made;
  }
  static std::vector<ShareText> Shares(unsigned choice, const NewRecoveryKey& of = Made()) {
    std::vector<ShareText> shares;
    for (size_t i = 0; i < of.shares.size(); ++i) {
      if ((choice >> i & 1) != 0) shares.push_back({"share-" + std::to_string(i + 1), of.shares[i].Clone()});
    }
    return shares;
  }
  static StatusOr<crypto::RsaPrivateKey> Open(const std::vector<ShareText>& shares) {
    return OpenRecoveryKey(*ParseFile(Made().file), shares);
  }
  static void ExpectRefused(const std::vector<ShareText>& shares, Cause cause, const std::string& says) {
    const Status status = Open(shares).status();
    EXPECT_EQ(CauseOf(status), cause) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(says));
  }
};

TEST_F(RecoveryKey, EverySubsetOfEnoughPeopleOpensItAndNoSmallerOne) {
  for (unsigned choice = 1; choice < 32; ++choice) {
    const auto key = Open(Shares(choice));
    ASSERT_EQ(key.ok(), std::popcount(choice) >= 3) << choice << ": " << key.status();
    if (key.ok()) {
      EXPECT_EQ(key->PublicPem(), Made().public_pem);
    } else {
      EXPECT_THAT(std::string(key.status().message()), HasSubstr("3 shares are needed"));
    }
  }
}

TEST_F(RecoveryKey, NothingSecretIsInItsFileOrAShareAlone) {
  const std::string pem(Open(Shares(7))->ToPem().ExposeText());
  EXPECT_THAT(Made().file, Not(HasSubstr(pem.substr(40, 40))));
  EXPECT_THAT(Made().file, Not(HasSubstr("PRIVATE")));
}

TEST_F(RecoveryKey, AShareGivenTwiceIsNamed) {
  std::vector<ShareText> shares = Shares(3);
  shares.push_back({"again", Made().shares[1].Clone()});
  ExpectRefused(shares, Cause::kInvalidArgument, "share again is number 2, which was given already");
}

TEST_F(RecoveryKey, ADamagedShareIsNamed) {
  std::vector<ShareText> shares = Shares(7);
  shares[1].text.ExposeMutable()[120] ^= 1;
  ExpectRefused(shares, Cause::kCorrupt, "share share-2: it is damaged");
}

TEST_F(RecoveryKey, AnotherClustersShareIsNamed) {
  const auto other = MakeRecoveryKey("c2", 3, 5, crypto::SystemRandom(), kBits);
  ASSERT_TRUE(other.ok());
  std::vector<ShareText> shares = Shares(3);
  shares.push_back({"theirs", other->shares[4].Clone()});
  ExpectRefused(shares, Cause::kInvalidArgument, "share theirs is of cluster c2");
}

TEST_F(RecoveryKey, AnEarlierRecoveryKeysShareIsNamed) {
  const auto earlier = MakeRecoveryKey("c1", 3, 5, crypto::SystemRandom(), kBits);
  ASSERT_TRUE(earlier.ok());
  std::vector<ShareText> shares = Shares(3);
  shares.push_back({"old", earlier->shares[4].Clone()});
  ExpectRefused(shares, Cause::kInvalidArgument,
                "share old is of recovery key " + earlier->header.key_id.substr(0, 16));
}

// Its checksum fits, and it is of no use.
TEST_F(RecoveryKey, AShareThatWasMadeUpOpensNothing) {
  std::vector<ShareText> shares = Shares(3);
  shares.push_back(
      {"made-up", EncodeShare({Made().header, {3, crypto::SystemRandom().Secret(kSecretSize)}})});
  ExpectRefused(shares, Cause::kCorrupt, "do not open the recovery file");
}

TEST_F(RecoveryKey, AFileWithAnotherHeaderDoesNotOpen) {
  RecoveryFile file = *ParseFile(Made().file);
  file.header.cluster_id = "c9";
  std::vector<ShareText> shares;
  for (size_t i = 0; i < 3; ++i) {
    Share share = *ParseShare(Made().shares[i].ExposeText());
    share.header.cluster_id = "c9";
    shares.push_back({"s", EncodeShare(share)});
  }
  EXPECT_EQ(CauseOf(OpenRecoveryKey(file, shares).status()), Cause::kCorrupt);
}

TEST_F(RecoveryKey, FewerThanTwoOrMoreThanThereAreAreRefused) {
  for (const auto& [threshold, shares] :
       std::vector<std::pair<int, int>>{{1, 3}, {4, 3}, {2, 256}, {0, 0}, {-1, 2}}) {
    EXPECT_EQ(CauseOf(MakeRecoveryKey("c", threshold, shares, crypto::SystemRandom(), kBits).status()),
              Cause::kInvalidArgument);
  }
}

}  // namespace
}  // namespace keyhold::recovery
