// Re-encryption as a node brings it forward: begun, begun again, ended with a proof, and never by a lie.
#include "node/reencrypting.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "node/words.h"
#include "tests/base/fake_clock.h"
#include "tests/base/forwarding_posix.h"
#include "tests/kms/fake_kms.h"
#include "tests/node/rig.h"
#include "tests/store/tree_fixture.h"

namespace keyhold::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::NodeStatus;

constexpr absl::Duration kBudget = absl::Seconds(5);
constexpr absl::Duration kMonth = absl::Hours(30 * 24);

// Refuses writes of the store, or the replacement of a file, while it is told to.
class RefusingPosix final : public testing::ForwardingPosix {
 public:
  std::atomic<bool> writes{false};
  std::atomic<bool> renames{false};
  ssize_t PWrite(int fd, const void* b, size_t n, off_t o, int f) override {
    return writes ? -EIO : ForwardingPosix::PWrite(fd, b, n, o, f);
  }
  int RenameAt2(int d, const char* p, int e, const char* q, unsigned f) override {
    return renames ? -ENOSPC : ForwardingPosix::RenameAt2(d, p, e, q, f);
  }
};

// A key ring and a tree under it; no mount.
class ReencryptingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(crypto::InitSecretMemory().ok());
    const keyring::Place place{posix_, dir_.fd(), crypto::SystemRandom(), clock_};
    auto ring = keyring::KeyRing::Create(place, {"c", "us-east-1", "n"}, kms_, kBudget);
    ASSERT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
    const store::Context context{posix_, crypto::SystemRandom(), *ring_, counter_};
    auto tree = store::Tree::Open(context, store_.fd(), 16);
    ASSERT_TRUE(tree.ok()) << tree.status();
    tree_ = *std::move(tree);
    work_ = std::make_unique<store::Reencryption>(*tree_, SystemClock());
    for (int i = 0; i < 3; ++i) {
      const auto file = tree_->MakeFile(tree_->root(), "file" + std::to_string(i), 0644, {0, 0});
      ASSERT_TRUE(file.ok()) << file.status();
      const std::string text(std::size_t{2} << 20, 'x');
      ASSERT_TRUE(tree_->Write(file->inode, 0, crypto::AsBytes(text), store::Durability::kLazy).ok());
    }
  }
  void TearDown() override { work_.reset(); }

  Reencrypting::Step Next(Reencrypting& reencrypting) {
    return reencrypting.Next(*ring_, *work_, clock_.Now(), kMonth);
  }
  // Step by step to where nothing is to do any more.
  Reencrypting::Step Finish(Reencrypting& reencrypting) {
    int changes = 0;
    while (true) {
      Reencrypting::Step step = Next(reencrypting);
      changes += step.ring_changed ? 1 : 0;
      if (step.now->state == "DONE" || step.now->state == "FAILED") {
        changes_ = changes;
        return step;
      }
      EXPECT_LT(step.now->percent, 100);
      work_->Wait();
    }
  }
  void AwaitRewriting() {
    while (work_->Progress().blocks_rewritten + work_->Progress().blocks_done < 50) std::this_thread::yield();
  }

  testing::FakeClock clock_;
  testing::TempDir dir_;
  testing::TempStore store_;
  RefusingPosix posix_;
  store::WriteCounter counter_{SystemClock()};
  testing::FakeKms kms_{testing::FakeKms::kKeyA, crypto::SystemRandom()};
  testing::FakeKms next_{testing::FakeKms::kKeyB, crypto::SystemRandom()};
  std::unique_ptr<keyring::KeyRing> ring_;
  std::unique_ptr<store::Tree> tree_;
  std::unique_ptr<store::Reencryption> work_;
  Reencrypting fast_{store::ReencryptOptions{0}};
  Reencrypting slow_{store::ReencryptOptions{1 << 20}};
  int changes_ = 0;
};

TEST_F(ReencryptingTest, WithoutRetiredKeysThereIsNothingToDo) {
  const Reencrypting::Step step = Next(fast_);
  EXPECT_FALSE(step.now.has_value());
  EXPECT_FALSE(step.ring_changed);
  EXPECT_EQ(work_->Progress().state, store::ReencryptState::kIdle);
}

TEST_F(ReencryptingTest, ARotationEndsWithAProofAndWithoutTheOldDataKey) {
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  EXPECT_EQ(ReencryptionOf(ring_->GetInfo())->state, "WAITING");
  EXPECT_FALSE(KeysOf(ring_->GetInfo())[1].may_be_destroyed);
  const Reencrypting::Step step = Finish(fast_);
  ASSERT_TRUE(step.now.has_value());
  EXPECT_EQ(step.now->state, "DONE");
  EXPECT_EQ(step.now->percent, 100);
  EXPECT_EQ(changes_, 1);
  const keyring::Info info = ring_->GetInfo();
  EXPECT_EQ(info.data_keys[0].state, keyring::DataKeyState::kDestroyed);
  ASSERT_EQ(info.proofs.size(), 1U);
  EXPECT_EQ(info.proofs[0].files, 3U);
  EXPECT_EQ(info.proofs[0].blocks, 3 * ((2U << 20) / store::kPayloadSize + 1));
  const auto keys = KeysOf(info);
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_FALSE(keys[0].may_be_destroyed);
  EXPECT_TRUE(keys[1].may_be_destroyed);
  EXPECT_EQ(keys[1].evidence, step.now->proof);
  EXPECT_THAT(keys[1].user_message, HasSubstr("3 files"));
  EXPECT_FALSE(Next(fast_).ring_changed) << "once";
}

TEST_F(ReencryptingTest, ADataKeyOfAgeIsReplacedAndItsDataGoesOver) {
  EXPECT_EQ(Next(fast_).again, kMonth);
  clock_.Advance(kMonth - absl::Hours(1));
  EXPECT_EQ(Next(fast_).again, absl::Hours(1));
  EXPECT_EQ(ring_->Active(), 1U);
  clock_.Advance(absl::Hours(1));
  const Reencrypting::Step step = Next(fast_);
  EXPECT_TRUE(step.ring_changed);
  EXPECT_EQ(step.again, absl::ZeroDuration());
  EXPECT_EQ(ring_->Active(), 2U);
  EXPECT_EQ(step.now->state, "WAITING");
  EXPECT_EQ(Finish(fast_).now->state, "DONE");
  EXPECT_EQ(ring_->GetInfo().data_keys[0].state, keyring::DataKeyState::kDestroyed);
  EXPECT_EQ(ring_->GetInfo().keys.size(), 1U) << "the CMEK key is the same";
}

TEST_F(ReencryptingTest, AKeyThatIsInForceAgainMayNotBeDestroyed) {
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  ASSERT_TRUE(ring_->Rewrap(kms_, kBudget).ok());
  EXPECT_EQ(Finish(fast_).now->state, "DONE");
  const auto keys = KeysOf(ring_->GetInfo());
  ASSERT_EQ(keys.size(), 3U);
  EXPECT_TRUE(keys[1].may_be_destroyed);
  EXPECT_FALSE(keys[2].may_be_destroyed) << "it is the one in force";
  EXPECT_TRUE(keys[2].evidence.has_value());
  EXPECT_THAT(keys[2].user_message, HasSubstr("keep it enabled"));
}

TEST_F(ReencryptingTest, AVersionIsFreeBeforeItsKeyIs) {
  next_.SetVersion("1");
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  next_.SetVersion("2");
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  EXPECT_EQ(KeysOf(ring_->GetInfo())[1].version, (wire::KeyVersion{"1", false})) << "it guards data";
  EXPECT_EQ(Finish(fast_).now->state, "DONE");
  const auto keys = KeysOf(ring_->GetInfo());
  ASSERT_EQ(keys.size(), 3U);
  EXPECT_EQ(keys[0].version, (wire::KeyVersion{"2", false})) << "it wraps the store key";
  EXPECT_EQ(keys[1].version, (wire::KeyVersion{"1", true}));
  EXPECT_FALSE(keys[1].may_be_destroyed) << "its key is in force";
  EXPECT_FALSE(keys[2].version.has_value()) << "its KMS tells none";
  next_.SetVersion("1");
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  EXPECT_EQ(KeysOf(ring_->GetInfo())[2].version, (wire::KeyVersion{"1", false})) << "it is in force again";
  next_.SetVersion("");
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  EXPECT_EQ(Finish(fast_).now->state, "DONE");
  EXPECT_EQ(KeysOf(ring_->GetInfo())[1].version, (wire::KeyVersion{"1", false}))
      << "what wraps the store key now may be it";
}

TEST_F(ReencryptingTest, ANewerKeyInTheMiddleIsWhereEverythingGoes) {
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  const std::string first = Next(slow_).now->started_at;
  AwaitRewriting();
  ASSERT_TRUE(ring_->Rewrap(kms_, kBudget).ok());
  const Reencrypting::Step step = Next(slow_);
  EXPECT_EQ(work_->Progress().target, 3U);
  EXPECT_EQ(step.again, absl::Seconds(1));
  work_->Stop();
  EXPECT_EQ(Finish(fast_).now->state, "DONE");
  EXPECT_EQ(changes_, 1);
  EXPECT_THAT(ring_->GetInfo().proofs, ElementsAre(::testing::Field(&keyring::Proof::target, 3U)));
}

TEST_F(ReencryptingTest, AKeyThatIsUsedUpInTheMiddleIsNoReasonToBeginAnew) {
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(ring_->AddDataKey().ok());
  Next(slow_);
  AwaitRewriting();
  const absl::Time started = work_->Progress().started_at;
  ASSERT_EQ(*ring_->KeyToSeal(keyring::SealLimits{}.next_key - keyring::SealLimits{}.reserve), 4U);
  Next(slow_);
  EXPECT_EQ(work_->Progress().target, 3U);
  EXPECT_EQ(work_->Progress().started_at, started);
  work_->Stop();
  EXPECT_EQ(Finish(fast_).now->state, "DONE");
  EXPECT_THAT(ring_->GetInfo().proofs, ElementsAre(::testing::Field(&keyring::Proof::target, 4U)));
}

TEST_F(ReencryptingTest, WhatFailsKeepsTheKeysAndIsTriedAgain) {
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  Next(slow_);
  posix_.writes = true;
  work_->Wait();
  Reencrypting::Step step = Next(slow_);
  EXPECT_EQ(step.now->state, "FAILED");
  EXPECT_FALSE(step.now->failure.empty());
  EXPECT_EQ(step.again, absl::Minutes(5));
  clock_.Advance(absl::Minutes(2));
  step = Next(slow_);
  EXPECT_EQ(step.now->state, "FAILED");
  EXPECT_EQ(step.again, absl::Minutes(3));
  EXPECT_EQ(ring_->GetInfo().data_keys[0].state, keyring::DataKeyState::kRetired);
  posix_.writes = false;
  clock_.Advance(absl::Minutes(3));
  EXPECT_NE(Next(slow_).now->state, "FAILED");
  work_->Stop();
  EXPECT_EQ(Finish(fast_).now->state, "DONE");
}

TEST_F(ReencryptingTest, ARingThatCannotBeWrittenIsToldAndTriedAgain) {
  ASSERT_TRUE(ring_->Rewrap(next_, kBudget).ok());
  Next(fast_);
  work_->Wait();
  posix_.renames = true;
  const Reencrypting::Step step = Next(fast_);
  EXPECT_EQ(step.now->state, "FAILED");
  EXPECT_LT(step.now->percent, 100);
  EXPECT_THAT(step.now->failure, HasSubstr("old data keys cannot be destroyed"));
  EXPECT_LT(step.again, absl::Minutes(1));
  posix_.renames = false;
  EXPECT_EQ(Finish(fast_).now->state, "DONE");
}

bool IsDone(const NodeStatus& status) {
  return status.reencryption.has_value() && status.reencryption->state == "DONE";
}

class NodeReencryptionTest : public NodeTest {
 protected:
  // More than a second's work.
  void FillStore() const {
    std::ofstream(options_.mountpoint + "/dormant") << std::string(std::size_t{24} << 20, 'd');
  }
  NodeStatus AwaitDone() { return Await(IsDone, "end of the re-encryption"); }
  NodeStatus AwaitMiddle() {
    return Await([](const NodeStatus& s) { return s.reencryption && s.reencryption->state == "REWRITING"; },
                 "re-encryption under way");
  }
};

TEST_F(NodeReencryptionTest, AfterEnableAndRotateItIsDoneAndTheOldKeyIsFree) {
  Serve();
  NodeStatus status = AwaitDone();
  EXPECT_EQ(status.keys.size(), 1U);
  WantKey(kSecondKey);
  status = Await([](const NodeStatus& s) { return s.keys.size() == 2 && IsDone(s); }, "end of the rotation");
  Await([](const NodeStatus& s) { return s.keys.size() == 2 && s.keys[1].may_be_destroyed; }, "a free key");
  Stop();
  Start();
  status = AwaitState(wire::NodeState::kServing);
  EXPECT_TRUE(IsDone(status));
  EXPECT_TRUE(status.keys[1].may_be_destroyed);
  ASSERT_TRUE(status.keys[1].evidence.has_value());
  EXPECT_GT(status.keys[1].evidence->files, 0U);
}

TEST_F(NodeReencryptionTest, AfterAMonthTheDataGoesOverByItself) {
  Serve();
  const std::string before = AwaitDone().reencryption->started_at;
  const uint64_t epoch = Status_().key_ring_epoch;
  clock_.Advance(kMonth - absl::Hours(1));
  Nudge();
  Await([&](const NodeStatus& s) { return s.observed_generation == desired_.generation; }, "taken up state");
  EXPECT_EQ(Status_().key_ring_epoch, epoch);
  clock_.Advance(absl::Hours(1));
  Nudge();
  Await([&](const NodeStatus& s) { return IsDone(s) && s.reencryption->started_at != before; },
        "another run");
  EXPECT_EQ(
      Await([&](const NodeStatus& s) { return s.key_ring_epoch >= epoch + 2; }, "newer ring").keys.size(), 1U)
      << "a data key was made and one destroyed, under the same CMEK key";
}

TEST_F(NodeReencryptionTest, LockedOrStoppedInTheMiddleItGoesOn) {
  Serve();
  AwaitDone();
  FillStore();
  WantKey(kSecondKey);
  AwaitMiddle();
  kms_.Answer(kSecondKey, Error(Cause::kKmsDisabled, "disabled"));
  NodeStatus status = AwaitLock(Cause::kKmsDisabled);
  ASSERT_TRUE(status.reencryption.has_value());
  EXPECT_EQ(status.reencryption->state, "WAITING");
  EXPECT_FALSE(status.keys[1].may_be_destroyed);
  kms_.Work(kSecondKey);
  AwaitMiddle();
  Stop();
  Start();
  AwaitDone();
  status = Await([](const NodeStatus& s) { return s.keys[1].may_be_destroyed; }, "a free key");
  EXPECT_EQ(testing::ReadFile(options_.mountpoint + "/dormant"), std::string(std::size_t{24} << 20, 'd'));
}

}  // namespace
}  // namespace keyhold::node
