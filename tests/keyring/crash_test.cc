// A key ring that is changed while the disk breaks: at every call, and with every loss of what was not
// synced, the old ring or the new one is there, and opens all data.
#include "tests/keyring/crashing_posix.h"
#include "tests/keyring/fixture.h"

namespace keyhold::keyring {
namespace {

class CrashedRing : public Ring, public ::testing::WithParamInterface<bool> {
 protected:
  // Runs `change` on the ring in the directory, with a disk that breaks at call `crash_at`; true when it
  // never came to that.
  template <typename Change>
  bool Survives(int crash_at, Change change) {
    testing::CrashingPosix posix(dir_, crash_at);
    auto ring = KeyRing::Open(At(posix), {identity_, 0}, kms_, kBudget);
    if (ring.ok()) {
      const uint64_t epoch = (*ring)->GetInfo().epoch;
      const Status changed = change(**ring);
      EXPECT_EQ((*ring)->GetInfo().epoch, changed.ok() ? epoch + 1 : epoch);
      if (changed.ok()) acknowledged_ = epoch + 1;
    }
    posix.LoseUnsynced(/*renames_too=*/GetParam());
    return !posix.crashed();
  }

  void ExpectGoodRing(const std::string& first_key) {
    const auto peeked = PeekKeyRing(SystemPosix(), dir_.fd());
    ASSERT_TRUE(peeked.ok()) << peeked.status();
    auto ring = Reopen(peeked->spec == kms_.Spec() ? kms_ : next_, acknowledged_);
    ASSERT_TRUE(ring.ok()) << ring.status();
    EXPECT_EQ(Exposed(**ring, 1), first_key);
    EXPECT_EQ(Exposed(**ring, (*ring)->Active()).size(), 32U);
  }

  uint64_t acknowledged_ = 0;
};

TEST_P(CrashedRing, RewrapLeavesTheOldOrTheNew) {
  const std::string first_key = Exposed(*MakeRing(), 1);
  const std::string old_file = testing::ReadFile(dir_.File("keyring"));
  bool whole = false;
  int crash_at = 0;
  for (; !whole; ++crash_at) {
    testing::WriteFile(dir_.File("keyring"), old_file);
    whole = Survives(crash_at, [&](KeyRing& ring) { return ring.Rewrap(next_, kBudget); });
    ExpectGoodRing(first_key);
    acknowledged_ = 0;
  }
  EXPECT_GT(crash_at, 15) << "every call of open and rewrap was a crash once";
}

TEST_P(CrashedRing, AddDataKeyLeavesTheOldOrTheNew) {
  const std::string first_key = Exposed(*MakeRing(), 1);
  const std::string old_file = testing::ReadFile(dir_.File("keyring"));
  bool whole = false;
  for (int crash_at = 0; !whole; ++crash_at) {
    testing::WriteFile(dir_.File("keyring"), old_file);
    whole = Survives(crash_at, [](KeyRing& ring) { return ring.AddDataKey().status(); });
    ExpectGoodRing(first_key);
    acknowledged_ = 0;
  }
}

TEST_P(CrashedRing, ADestructionAndItsProofAreThereTogetherOrNotAtAll) {
  const auto made = MakeRing();
  ASSERT_TRUE(made->AddDataKey().ok());
  const std::string old_file = testing::ReadFile(dir_.File("keyring"));
  bool whole = false;
  for (int crash_at = 0; !whole; ++crash_at) {
    testing::WriteFile(dir_.File("keyring"), old_file);
    acknowledged_ = 0;
    whole = Survives(crash_at, [&](KeyRing& ring) { return ring.DestroyProven(ProofOf(2)).status(); });
    const auto ring = Reopen(kms_, acknowledged_);
    ASSERT_TRUE(ring.ok()) << ring.status();
    const Info info = (*ring)->GetInfo();
    const bool destroyed = info.data_keys[0].state == DataKeyState::kDestroyed;
    EXPECT_EQ(info.proofs.size(), destroyed ? 1U : 0U);
    EXPECT_EQ((*ring)->Find(1).ok(), !destroyed);
    EXPECT_TRUE((*ring)->Find(2).ok());
  }
}

TEST_P(CrashedRing, CreateLeavesNoneOrAWholeOne) {
  bool whole = false;
  for (int crash_at = 0; !whole; ++crash_at) {
    testing::CrashingPosix posix(dir_, crash_at);
    const bool made = KeyRing::Create(At(posix), identity_, kms_, kBudget).ok();
    posix.LoseUnsynced(GetParam());
    whole = !posix.crashed();
    const auto opened = Reopen(kms_);
    EXPECT_TRUE(opened.ok() || (!made && CauseOf(opened.status()) == Cause::kNotFound)) << opened.status();
    std::filesystem::remove(dir_.File("keyring"));
  }
}

TEST_P(CrashedRing, LeftoversAreNoHindrance) {
  testing::WriteFile(dir_.File("keyring.new"), "half a ring");
  const auto ring = MakeRing();
  EXPECT_TRUE(ring->AddDataKey().ok());
  EXPECT_FALSE(std::filesystem::exists(dir_.File("keyring.new")));
}

INSTANTIATE_TEST_SUITE_P(Renames, CrashedRing, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Lost" : "Kept"; });

}  // namespace
}  // namespace keyhold::keyring
