// A ring that is sealed to a recovery key: it opens without its KMS, once, loudly, and for no other store.
#include <filesystem>

#include "keyring/format.h"
#include "keyring/recovery_seal.h"
#include "tests/keyring/fixture.h"

namespace keyhold::keyring {
namespace {

using ::testing::HasSubstr;

const crypto::RsaPrivateKey& KeyOne() {
  static const crypto::RsaPrivateKey key = *crypto::RsaPrivateKey::Generate(2048);
  return key;
}
const crypto::RsaPrivateKey& KeyTwo() {
  static const crypto::RsaPrivateKey key = *crypto::RsaPrivateKey::Generate(2048);
  return key;
}
crypto::RsaPublicKey PublicOf(const crypto::RsaPrivateKey& key) {
  return *crypto::RsaPublicKey::FromPem(key.PublicPem());
}

class Recovery : public Ring {
 protected:
  void SetUp() override {
    Ring::SetUp();
    ring_ = MakeRing();
    data_ = Exposed(*ring_, 1);
    ASSERT_TRUE(ring_->SetRecoveryKey(PublicOf(KeyOne())).ok());
  }
  // The KMS of before is not asked: it answers nothing any more.
  StatusOr<std::unique_ptr<KeyRing>> Recover(const crypto::RsaPrivateKey& key, uint64_t min_epoch = 0) {
    ring_.reset();
    kms_.Fail(Error(Cause::kKmsKeyNotFound, "the key is destroyed"));
    return KeyRing::Recover(Here(), {identity_, min_epoch}, key, next_, kBudget);
  }
  std::string File() { return testing::ReadFile(dir_.File("keyring")); }

  std::unique_ptr<KeyRing> ring_;
  std::string data_;
};

TEST_F(Recovery, OpensWithoutTheKmsAndIsUnderTheNewKeyThen) {
  clock_.Advance(absl::Hours(1));
  const int calls = kms_.calls();
  const auto ring = Recover(KeyOne());
  ASSERT_TRUE(ring.ok()) << ring.status();
  EXPECT_EQ(kms_.calls(), calls);
  EXPECT_EQ(Exposed(**ring, 1), data_);
  for (const Info& info : {(*ring)->GetInfo(), (*Reopen(next_))->GetInfo()}) {
    EXPECT_EQ(info.keys[0].spec.uri, testing::FakeKms::kKeyB);
    EXPECT_TRUE(info.keys[1].guards_data);
    EXPECT_EQ(info.recovered_at, clock_.Now());
    ASSERT_TRUE(info.recovery.has_value());
    EXPECT_EQ(info.recovery->key_id, PublicOf(KeyOne()).Fingerprint());
    EXPECT_EQ(info.epoch, 3U);
  }
  EXPECT_EQ(Exposed(**Reopen(next_), 1), data_);
}

TEST_F(Recovery, ARotationKeepsItOpenable) {
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  const std::string second = Exposed(*ring_, 2);
  const auto ring = Recover(KeyOne());
  ASSERT_TRUE(ring.ok()) << ring.status();
  EXPECT_EQ(Exposed(**ring, 1), data_);
  EXPECT_EQ(Exposed(**ring, 2), second);
  ASSERT_TRUE(Recover(KeyOne()).ok()) << "and a recovery too";
}

TEST_F(Recovery, AnotherKeyTakesItsPlace) {
  ASSERT_TRUE(ring_->SetRecoveryKey(PublicOf(KeyTwo())).ok());
  const Status refused = Recover(KeyOne()).status();
  EXPECT_EQ(CauseOf(refused), Cause::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(PublicOf(KeyTwo()).Fingerprint().substr(0, 16)));
  EXPECT_TRUE(Recover(KeyTwo()).ok());
}

TEST_F(Recovery, TheSameKeyIsNotWrittenTwice) {
  const std::string before = File();
  ASSERT_TRUE(ring_->SetRecoveryKey(PublicOf(KeyOne())).ok());
  EXPECT_EQ(File(), before);
}

TEST_F(Recovery, WithoutOneThereIsNoWayIn) {
  ASSERT_TRUE(ring_->RemoveRecoveryKey().ok());
  EXPECT_FALSE(ring_->GetInfo().recovery.has_value());
  const std::string before = File();
  EXPECT_EQ(before[8], 1) << "of the version of a ring that never had one";
  ASSERT_TRUE(ring_->RemoveRecoveryKey().ok());
  EXPECT_EQ(File(), before);
  const Status refused = Recover(KeyOne()).status();
  EXPECT_EQ(CauseOf(refused), Cause::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("has no recovery key"));
}

TEST_F(Recovery, TheUseStaysKnownWhenTheKeyIsGone) {
  const auto ring = Recover(KeyOne());
  ASSERT_TRUE(ring.ok());
  ASSERT_TRUE((*ring)->RemoveRecoveryKey().ok());
  const auto again = Reopen(next_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE((*again)->GetInfo().recovered_at.has_value());
  EXPECT_FALSE((*again)->GetInfo().recovery.has_value());
}

TEST_F(Recovery, AnOlderCopyIsRefused) {
  const uint64_t epoch = ring_->GetInfo().epoch;
  EXPECT_EQ(CauseOf(Recover(KeyOne(), epoch + 1).status()), Cause::kFailedPrecondition);
  EXPECT_TRUE(Recover(KeyOne(), epoch).ok());
}

TEST_F(Recovery, AFailureLeavesTheRingAsItWas) {
  const std::string before = File();
  next_.Fail(Error(Cause::kKmsDenied, "no"));
  EXPECT_EQ(CauseOf(Recover(KeyOne()).status()), Cause::kKmsDenied);
  EXPECT_EQ(File(), before);
  next_.Fail(OkStatus());
  next_.AnswerWrongly(true);
  EXPECT_EQ(CauseOf(Recover(KeyOne()).status()), Cause::kKmsCorrupt);
  EXPECT_EQ(File(), before);
}

// A forged ring is found out before anything is written.
TEST_F(Recovery, AForgedRingIsRefused) {
  Contents contents = Decode(File())->contents;
  contents.keys[0].spec.uri += "x";
  testing::WriteFile(dir_.File("keyring"), WithTrailer(EncodeBody(contents), {}));
  EXPECT_EQ(CauseOf(Recover(KeyOne()).status()), Cause::kCorrupt);
}

TEST_F(Recovery, WhatIsSealedOpensForItsStoreAlone) {
  const std::string secret(32, 's');
  const std::string sealed = *Seal(PublicOf(KeyOne()), crypto::AsBytes(secret), identity_);
  EXPECT_EQ(Unseal(KeyOne(), crypto::AsBytes(sealed), identity_)->ExposeText(), secret);
  for (const Identity& other : {Identity{"c1b3", "us-east-1", "n1"}, Identity{"c1b2", "us-east-2", "n1"},
                                Identity{"c1b2", "us-east-1", "n2"}, Identity{"c1b2", "us-east-1n", "1"}}) {
    EXPECT_EQ(CauseOf(Unseal(KeyOne(), crypto::AsBytes(sealed), other).status()), Cause::kCorrupt);
  }
  EXPECT_EQ(CauseOf(Unseal(KeyTwo(), crypto::AsBytes(sealed), identity_).status()), Cause::kCorrupt);
}

}  // namespace
}  // namespace keyhold::keyring
