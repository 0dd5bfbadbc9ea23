#include "keyring/keyring.h"

#include "kms/platform_key.h"
#include "tests/keyring/fixture.h"

namespace keyhold::keyring {
namespace {

TEST_F(Ring, OpensAgainWithTheSameKeys) {
  const auto ring = MakeRing();
  const auto again = Reopen(kms_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Active(), 1U);
  EXPECT_EQ(Exposed(**again, 1), Exposed(*ring, 1));
  EXPECT_EQ((*again)->GetInfo().epoch, 1U);
  EXPECT_EQ((*again)->GetInfo().identity, identity_);
}

TEST_F(Ring, FileIsPrivate) {
  MakeRing();
  struct stat found;
  ASSERT_EQ(stat(dir_.File("keyring").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
}

TEST_F(Ring, CreateNeverReplaces) {
  MakeRing();
  const std::string before = testing::ReadFile(dir_.File("keyring"));
  EXPECT_EQ(CauseOf(KeyRing::Create(Here(), identity_, kms_, kBudget).status()), Cause::kAlreadyExists);
  EXPECT_EQ(testing::ReadFile(dir_.File("keyring")), before);
}

TEST_F(Ring, CreateRefusesIdsThatAreNone) {
  for (const std::string& id : std::vector<std::string>{"", "a b", "a\n", std::string(256, 'a')}) {
    EXPECT_EQ(CauseOf(KeyRing::Create(Here(), {id, "r", "s"}, kms_, kBudget).status()),
              Cause::kInvalidArgument);
  }
  EXPECT_EQ(kms_.calls(), 0);
}

TEST_F(Ring, MissingFileIsNotFound) {
  EXPECT_EQ(CauseOf(Reopen(kms_).status()), Cause::kNotFound);
  EXPECT_EQ(CauseOf(PeekKeyRing(SystemPosix(), dir_.fd()).status()), Cause::kNotFound);
}

TEST_F(Ring, PeekTellsWhichKeyIsNeeded) {
  MakeRing();
  const auto peeked = PeekKeyRing(SystemPosix(), dir_.fd());
  ASSERT_TRUE(peeked.ok()) << peeked.status();
  EXPECT_EQ(peeked->spec.uri, testing::FakeKms::kKeyA);
  EXPECT_EQ(peeked->identity, identity_);
  EXPECT_EQ(peeked->epoch, 1U);
}

TEST_F(Ring, OpenRefusesAnotherKeyWithoutAskingIt) {
  MakeRing();
  EXPECT_EQ(CauseOf(Reopen(next_).status()), Cause::kFailedPrecondition);
  EXPECT_EQ(next_.calls(), 0);
}

TEST_F(Ring, OpenRefusesAnotherStoresRing) {
  MakeRing();
  const Expected other{Identity{"c1b2", "us-east-1", "n2"}, 0};
  const auto opened = KeyRing::Open(Here(), other, kms_, kBudget);
  EXPECT_EQ(CauseOf(opened.status()), Cause::kFailedPrecondition);
  EXPECT_THAT(std::string(opened.status().message()), ::testing::HasSubstr("store n1"));
}

TEST_F(Ring, OpenRefusesAnOlderCopy) {
  const auto ring = MakeRing();
  const std::string old_copy = testing::ReadFile(dir_.File("keyring"));
  ASSERT_TRUE(ring->AddDataKey().ok());
  testing::WriteFile(dir_.File("keyring"), old_copy);
  const auto opened = Reopen(kms_, 2);
  EXPECT_EQ(CauseOf(opened.status()), Cause::kFailedPrecondition);
  EXPECT_THAT(std::string(opened.status().message()), ::testing::HasSubstr("older copy"));
  EXPECT_TRUE(Reopen(kms_, 1).ok());
}

TEST_F(Ring, AnAcceptedRingIsTheLatestAndSaysSo) {
  auto ring = MakeRing();
  EXPECT_FALSE(ring->GetInfo().accepted_at.has_value());
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(ring->AcceptRestored(6).ok());
  const auto again = Reopen(kms_, 7);
  ASSERT_TRUE(again.ok()) << again.status();
  const Info info = (*again)->GetInfo();
  EXPECT_EQ(info.epoch, 7U);
  EXPECT_EQ(info.accepted_at, clock_.Now());
  ASSERT_EQ(info.data_keys.size(), 2U);
  EXPECT_EQ(info.data_keys[0].state, DataKeyState::kRetired);
}

TEST_F(Ring, KmsCausesPassThrough) {
  const auto ring = MakeRing();
  for (const Cause cause :
       {Cause::kKmsDenied, Cause::kKmsDisabled, Cause::kKmsPendingDeletion, Cause::kKmsKeyNotFound,
        Cause::kKmsUnreachable, Cause::kKmsThrottled, Cause::kKmsBadCredentials}) {
    kms_.Fail(Error(cause, "no"));
    EXPECT_EQ(CauseOf(Reopen(kms_).status()), cause);
    EXPECT_EQ(CauseOf(ring->Probe(kms_, kBudget)), cause);
  }
  kms_.Fail(OkStatus());
  EXPECT_TRUE(ring->Probe(kms_, kBudget).ok());
}

TEST_F(Ring, ProbeNoticesAnotherStoreKey) {
  const auto ring = MakeRing();
  kms_.AnswerWrongly(true);
  EXPECT_EQ(CauseOf(ring->Probe(kms_, kBudget)), Cause::kKmsCorrupt);
}

TEST_F(Ring, ProbeAndOpenRefuseAStoreKeyOfAnotherSize) {
  const auto ring = MakeRing();
  class Short final : public kms::Kms {
   public:
    explicit Short(const kms::KeySpec& spec) : spec_(spec) {}
    const kms::KeySpec& Spec() const override { return spec_; }
    StatusOr<kms::Wrapped> Wrap(crypto::Bytes, const kms::Context&, absl::Duration) override {
      return kms::Wrapped{"x", ""};
    }
    StatusOr<crypto::SecretBytes> Unwrap(crypto::Bytes, const kms::Context&, absl::Duration) override {
      return crypto::SecretBytes(16);
    }
    StatusOr<kms::KeyDescription> Describe(absl::Duration) override { return kms::KeyDescription{}; }
    kms::CheckReport Check(std::string_view, const kms::Context&, absl::Duration) override { return {}; }

   private:
    const kms::KeySpec spec_;
  } short_kms(kms_.Spec());
  EXPECT_EQ(CauseOf(ring->Probe(short_kms, kBudget)), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Reopen(short_kms).status()), Cause::kKmsCorrupt);
}

TEST_F(Ring, TellsWhichVersionOfAKeyWrapped) {
  kms_.SetVersion("7");
  const auto ring = MakeRing();
  kms_.SetVersion("8");
  ASSERT_TRUE(ring->Rewrap(kms_, kBudget).ok());
  ASSERT_TRUE(ring->Rewrap(next_, kBudget).ok());
  for (const Info& info : {ring->GetInfo(), (*Reopen(next_))->GetInfo()}) {
    ASSERT_EQ(info.keys.size(), 3U);
    EXPECT_EQ(info.keys[0].version, "") << "this KMS tells none";
    EXPECT_EQ(info.keys[1].version, "8");
    EXPECT_EQ(info.keys[2].version, "7");
  }
}

TEST_F(Ring, RewrapKeepsOldDataReadable) {
  const auto ring = MakeRing();
  const std::string first = Exposed(*ring, 1);
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(ring->Rewrap(next_, kBudget).ok());
  EXPECT_EQ(ring->Active(), 2U);
  EXPECT_EQ(Exposed(*ring, 1), first);
  EXPECT_EQ(CauseOf(ring->Probe(kms_, kBudget)), Cause::kFailedPrecondition)
      << "the old key wraps nothing now";
  EXPECT_TRUE(ring->Probe(next_, kBudget).ok());

  const auto again = Reopen(next_, 2);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Exposed(**again, 1), first);
  EXPECT_EQ(Exposed(**again, 2), Exposed(*ring, 2));
}

TEST_F(Ring, RewrapTellsTheHistoryNewestFirst) {
  const auto ring = MakeRing();
  const absl::Time start = clock_.Now();
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(ring->Rewrap(next_, kBudget).ok());
  const auto again = Reopen(next_);
  ASSERT_TRUE(again.ok());
  const Info info = (*again)->GetInfo();
  ASSERT_EQ(info.keys.size(), 2U);
  EXPECT_EQ(info.keys[0].spec.uri, testing::FakeKms::kKeyB);
  EXPECT_TRUE(info.keys[0].active);
  EXPECT_EQ(info.keys[0].created_at, start + absl::Hours(1));
  EXPECT_EQ(info.keys[1].spec.uri, testing::FakeKms::kKeyA);
  EXPECT_FALSE(info.keys[1].active);
  EXPECT_EQ(info.keys[1].created_at, start);
  EXPECT_EQ(info.keys[1].updated_at, start + absl::Hours(1));
}

TEST_F(Ring, OldKeyGuardsDataUntilItsDataKeysAreDestroyed) {
  const auto ring = MakeRing();
  ASSERT_TRUE(ring->AddDataKey().ok());
  ASSERT_TRUE(ring->Rewrap(next_, kBudget).ok());
  EXPECT_TRUE(ring->GetInfo().keys[1].guards_data);
  ASSERT_TRUE(ring->DestroyDataKey(1).ok());
  EXPECT_TRUE(ring->GetInfo().keys[1].guards_data);
  ASSERT_TRUE(ring->DestroyDataKey(2).ok());
  EXPECT_FALSE(ring->GetInfo().keys[1].guards_data);
  EXPECT_TRUE(ring->GetInfo().keys[0].guards_data);
}

TEST_F(Ring, WhatIsProvedIsDestroyedAndTheProofIsKept) {
  const auto ring = MakeRing();
  ASSERT_TRUE(ring->Rewrap(next_, kBudget).ok());
  ASSERT_TRUE(ring->AddDataKey().ok());
  ASSERT_TRUE(ring->Rewrap(kms_, kBudget).ok());
  clock_.Advance(absl::Hours(1));
  const Proof proof = ProofOf(3);
  const uint64_t epoch = ring->GetInfo().epoch;
  EXPECT_THAT(*ring->DestroyProven(proof), ::testing::ElementsAre(1, 2));
  EXPECT_EQ(ring->GetInfo().epoch, epoch + 1) << "one replace";

  const auto again = Reopen(kms_, epoch + 1);
  ASSERT_TRUE(again.ok()) << again.status();
  const Info info = (*again)->GetInfo();
  EXPECT_THAT(info.proofs, ::testing::ElementsAre(proof));
  EXPECT_EQ(info.data_keys[1].state, DataKeyState::kDestroyed);
  EXPECT_EQ(info.data_keys[2].state, DataKeyState::kRetired) << "it is not older than the target";
  // Data key 3 is from the time of the second record, which still guards data; the third does not.
  EXPECT_TRUE(info.keys[1].guards_data);
  EXPECT_FALSE(info.keys[1].proof.has_value());
  EXPECT_FALSE(info.keys[2].guards_data);
  EXPECT_EQ(info.keys[2].proof, proof);
}

TEST_F(Ring, AProofWithNothingToDestroyWritesNothing) {
  const auto ring = MakeRing();
  ASSERT_TRUE(ring->AddDataKey().ok());
  ASSERT_TRUE(ring->DestroyProven(ProofOf(2)).ok());
  const std::string before = testing::ReadFile(dir_.File("keyring"));
  EXPECT_THAT(*ring->DestroyProven(ProofOf(2)), ::testing::IsEmpty());
  EXPECT_EQ(testing::ReadFile(dir_.File("keyring")), before);
  for (const DataKeyId none : {0, 3}) {
    EXPECT_EQ(CauseOf(ring->DestroyProven(ProofOf(none)).status()), Cause::kInvalidArgument);
  }
  EXPECT_EQ(ring->Active(), 2U);
}

TEST_F(Ring, AKeysProofIsTheFirstThatCoversItsTime) {
  const auto ring = MakeRing();
  for (DataKeyId target = 2; target < 80; ++target) {
    ASSERT_TRUE(ring->Rewrap(target % 2 == 0 ? next_ : kms_, kBudget).ok());
    clock_.Advance(absl::Hours(1));
    ASSERT_EQ(ring->DestroyProven(ProofOf(target))->size(), 1U);
  }
  const auto again = Reopen(kms_);
  ASSERT_TRUE(again.ok()) << again.status();
  const Info info = (*again)->GetInfo();
  EXPECT_EQ(info.proofs.size(), 64U);
  for (size_t i = 1; i < info.keys.size(); ++i) {
    ASSERT_TRUE(info.keys[i].proof.has_value()) << i;
    EXPECT_EQ(info.keys[i].proof->target, 80 - i);
  }
}

TEST_F(Ring, RewrapWithTheSameKeyIsANewRecord) {
  const auto ring = MakeRing();
  ASSERT_TRUE(ring->Rewrap(kms_, kBudget).ok());
  EXPECT_EQ(ring->GetInfo().keys.size(), 2U);
  EXPECT_TRUE(Reopen(kms_).ok());
}

TEST_F(Ring, FailedRewrapChangesNothing) {
  const auto ring = MakeRing();
  const std::string before = testing::ReadFile(dir_.File("keyring"));
  next_.Fail(Error(Cause::kKmsDenied, "no"));
  EXPECT_EQ(CauseOf(ring->Rewrap(next_, kBudget)), Cause::kKmsDenied);
  next_.Fail(OkStatus());
  next_.AnswerWrongly(true);
  EXPECT_EQ(CauseOf(ring->Rewrap(next_, kBudget)), Cause::kKmsCorrupt);
  EXPECT_EQ(testing::ReadFile(dir_.File("keyring")), before);
  EXPECT_EQ(ring->Active(), 1U);
  EXPECT_TRUE(ring->Probe(kms_, kBudget).ok());
}

TEST_F(Ring, NullKmsIsForBeginningsOnly) {
  const auto platform = kms::OpenPlatformKey(SystemPosix(), dir_.File("platform.key"), crypto::SystemRandom(),
                                             kms::IfMissing::kCreate);
  ASSERT_TRUE(platform.ok()) << platform.status();
  auto ring = KeyRing::Create(Here(), identity_, **platform, kBudget);
  ASSERT_TRUE(ring.ok()) << ring.status();
  ASSERT_TRUE((*ring)->Rewrap(next_, kBudget).ok());
  const Status back = (*ring)->Rewrap(**platform, kBudget);
  EXPECT_EQ(CauseOf(back), Cause::kFailedPrecondition);
  EXPECT_THAT(std::string(back.message()), ::testing::HasSubstr("cannot be disabled"));
  EXPECT_EQ(CauseOf(Reopen(**platform).status()), Cause::kFailedPrecondition);
}

TEST_F(Ring, DataKeysComeAndGo) {
  const auto ring = MakeRing();
  EXPECT_EQ(*ring->AddDataKey(), 2U);
  EXPECT_EQ(ring->Active(), 2U);
  EXPECT_EQ(CauseOf(ring->DestroyDataKey(2)), Cause::kFailedPrecondition);
  EXPECT_EQ(CauseOf(ring->DestroyDataKey(3)), Cause::kNotFound);
  EXPECT_TRUE(ring->DestroyDataKey(1).ok());
  EXPECT_TRUE(ring->DestroyDataKey(1).ok());
  EXPECT_EQ(CauseOf(ring->Find(1).status()), Cause::kFailedPrecondition);
  EXPECT_EQ(CauseOf(ring->Find(0).status()), Cause::kNotFound);
  EXPECT_EQ(CauseOf(ring->Find(3).status()), Cause::kNotFound);

  const auto again = Reopen(kms_);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(CauseOf((*again)->Find(1).status()), Cause::kFailedPrecondition);
  EXPECT_EQ(*(*again)->AddDataKey(), 3U) << "ids are never used twice";
  EXPECT_EQ((*again)->GetInfo().data_keys.size(), 3U);
}

TEST_F(Ring, EpochGrowsWithEveryWrite) {
  const auto ring = MakeRing();
  ASSERT_TRUE(ring->AddDataKey().ok());
  ASSERT_TRUE(ring->Rewrap(next_, kBudget).ok());
  ASSERT_TRUE(ring->DestroyDataKey(1).ok());
  EXPECT_EQ(ring->GetInfo().epoch, 4U);
  EXPECT_EQ(PeekKeyRing(SystemPosix(), dir_.fd())->epoch, 4U);
}

TEST_F(Ring, ListsStayBounded) {
  const auto ring = MakeRing();
  for (int i = 0; i < 70; ++i) ASSERT_TRUE(ring->Rewrap(i % 2 == 0 ? next_ : kms_, kBudget).ok());
  EXPECT_EQ(ring->GetInfo().keys.size(), 64U);
  EXPECT_TRUE(Reopen(kms_).ok());
}

}  // namespace
}  // namespace keyhold::keyring
