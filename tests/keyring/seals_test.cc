// Counting seals: nothing is forgotten by a crash, another key comes in time, and nothing is sealed beyond
// the limit. The limits are small ones, but for those that say otherwise.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "keyring/format.h"
#include "tests/base/forwarding_posix.h"
#include "tests/keyring/crashing_posix.h"
#include "tests/keyring/fixture.h"

namespace keyhold::keyring {
namespace {

class RefusingPosix final : public testing::ForwardingPosix {
 public:
  std::atomic<int> error{0};
  std::atomic<int> refused{0};
  int FSync(int fd) override {
    if (error == 0) return ForwardingPosix::FSync(fd);
    ++refused;
    return -error;
  }
};

// For tests that write often and lose nothing.
class UnsyncedPosix final : public testing::ForwardingPosix {
 public:
  int FSync(int) override { return 0; }
};

constexpr SealLimits kSmall{1000, 2000, 64};

class Seals : public Ring {
 protected:
  Place With(const SealLimits& limits, Posix& posix = SystemPosix()) {
    Place place = At(posix);
    place.limits = limits;
    return place;
  }
  std::unique_ptr<KeyRing> MakeWith(const SealLimits& limits, Posix& posix = SystemPosix()) {
    auto ring = KeyRing::Create(With(limits, posix), identity_, kms_, kBudget);
    EXPECT_TRUE(ring.ok()) << ring.status();
    return *std::move(ring);
  }
  std::unique_ptr<KeyRing> ReopenWith(const SealLimits& limits) {
    auto ring = KeyRing::Open(With(limits), {identity_, 0}, kms_, kBudget);
    EXPECT_TRUE(ring.ok()) << ring.status();
    return *std::move(ring);
  }
  // Puts a ring into the directory that has as many data keys as one may, none of them destroyed.
  void FillWithRetired() {
    MakeRing();
    Contents contents = Decode(testing::ReadFile(dir_.File("keyring")))->contents;
    const auto store_key =
        kms_.Unwrap(crypto::AsBytes(contents.keys[0].wrapped), ToContext(identity_), kBudget);
    ASSERT_TRUE(store_key.ok()) << store_key.status();
    const auto wrap_key = crypto::Hkdf(store_key->Expose(), crypto::AsBytes(kWrapKeyInfo), 32);
    const DataKeyEntry first = std::exchange(contents.data_keys, {})[0];
    for (DataKeyId id = 1; id <= kMaxDataKeys; ++id) {
      DataKeyEntry key = first;
      key.id = id;
      key.state = id == kMaxDataKeys ? DataKeyState::kActive : DataKeyState::kRetired;
      key.wrapped = crypto::SealBox(wrap_key.Expose(), crypto::SystemRandom(),
                                    crypto::AsBytes(DataKeyBinding(id, identity_)),
                                    crypto::AsBytes(std::string(32, 'k')));
      contents.data_keys.push_back(key);
    }
    contents.next_data_key = kMaxDataKeys + 1;
    const std::string body = EncodeBody(contents);
    const auto mac_key = crypto::Hkdf(store_key->Expose(), crypto::AsBytes(kMacKeyInfo), 32);
    const auto mac = crypto::HmacSha256(mac_key.Expose(), crypto::AsBytes(body));
    testing::WriteFile(dir_.File("keyring"), WithTrailer(body, mac));
  }
  // What a program that opens the file now goes by.
  uint64_t OnDisk(DataKeyId id = 1) { return Reopen(kms_).value()->GetInfo().data_keys[id - 1].seals; }
};

TEST_F(Seals, AreOnTheDiskBeforeTheyAreMade) {
  const auto ring = MakeWith(kSmall);
  uint64_t sealed = 0;
  for (uint64_t count : {1, 7, 60, 1, 1, 200, 3}) {
    ASSERT_EQ(*ring->KeyToSeal(count), 1U);
    sealed += count;
    ASSERT_GE(OnDisk(), sealed);
    ASSERT_LE(OnDisk(), sealed + kSmall.reserve);
  }
  EXPECT_EQ(ring->GetInfo().data_keys[0].seals, OnDisk());
}

TEST_F(Seals, AWriteOfTheRingServesForMillions) {
  const auto ring = MakeRing();
  ASSERT_TRUE(ring->KeyToSeal(1).ok());
  const uint64_t epoch = ring->GetInfo().epoch;
  for (uint64_t sealed = 1; sealed + 256 < SealLimits{}.reserve / 2; sealed += 256) {
    ASSERT_TRUE(ring->KeyToSeal(256).ok());
  }
  EXPECT_EQ(ring->GetInfo().epoch, epoch);
}

TEST_F(Seals, WhatWasReservedIsLostInACrashAndNeverUsedTwice) {
  uint64_t reserved = 0;
  uint64_t sealed = 0;
  for (int crash = 0; crash < 5; ++crash) {
    const auto ring = crash == 0 ? MakeWith(kSmall) : ReopenWith(kSmall);  // let go of without settling
    EXPECT_EQ(ring->GetInfo().data_keys[0].seals, reserved);
    ASSERT_EQ(*ring->KeyToSeal(10), 1U);
    sealed += 10;
    EXPECT_GE(OnDisk(), reserved + 10);
    reserved = OnDisk();
    EXPECT_GE(reserved, sealed);
  }
  EXPECT_EQ(reserved, 5 * (10 + kSmall.reserve));
}

TEST_F(Seals, AKilledProcessHasForgottenNone) {
  MakeRing();
  uint64_t all = 0;
  for (int round = 0; round < 3; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto ring = KeyRing::Open(With(kSmall), {identity_, 0}, kms_, kBudget);
      while (ring.ok() && (*ring)->KeyToSeal(16).ok() && write(ends[1], "16 boxes", 8) == 8) continue;
      _exit(1);
    }
    close(ends[1]);
    char told[8];
    for (int i = 0; i < 7 + round; ++i) ASSERT_EQ(read(ends[0], told, sizeof told), 8);
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
    all += 16 * static_cast<uint64_t>(7 + round);
    while (read(ends[0], told, sizeof told) == 8) all += 16;
    close(ends[0]);
    uint64_t counted = 0;
    for (const DataKeyRecord& record : Reopen(kms_).value()->GetInfo().data_keys) counted += record.seals;
    ASSERT_GE(counted, all);
  }
}

TEST_F(Seals, AKilledOpeningCountsAtEveryCall) {
  for (const bool lost : {false, true}) {
    std::filesystem::remove(dir_.File("keyring"));
    MakeRing();
    const std::string old_file = testing::ReadFile(dir_.File("keyring"));
    bool whole = false;
    for (int crash_at = 0; !whole; ++crash_at) {
      testing::WriteFile(dir_.File("keyring"), old_file);
      testing::CrashingPosix posix(dir_, crash_at);
      uint64_t sealed = 0;
      {
        auto ring = KeyRing::Open(With(kSmall, posix), {identity_, 0}, kms_, kBudget);
        for (int i = 0; ring.ok() && i < 4; ++i) {
          sealed += (*ring)->KeyToSeal(40).ok() ? 40 : 0;
          if (i == 1) (void)(*ring)->SettleSeals();
        }
      }
      posix.LoseUnsynced(lost);
      whole = !posix.crashed();
      ASSERT_GE(OnDisk(), sealed) << "call " << crash_at;
    }
  }
}

TEST_F(Seals, AreGivenBackByWhoIsDone) {
  const auto ring = MakeWith(kSmall);
  ASSERT_TRUE(ring->SettleSeals().ok());
  EXPECT_EQ(ring->GetInfo().epoch, 1U) << "nothing was sealed";
  ASSERT_TRUE(ring->KeyToSeal(10).ok());
  ASSERT_TRUE(ring->SettleSeals().ok());
  EXPECT_EQ(OnDisk(), 10U);
  const uint64_t epoch = ring->GetInfo().epoch;
  ASSERT_TRUE(ring->SettleSeals().ok());
  EXPECT_EQ(ring->GetInfo().epoch, epoch) << "there was nothing to write";
  ASSERT_TRUE(ring->KeyToSeal(1).ok());
  EXPECT_EQ(OnDisk(), 11 + kSmall.reserve) << "it goes on";
}

TEST_F(Seals, WhatIsGivenBackIsNotUsedWhenThatCannotBeWritten) {
  RefusingPosix posix;
  const auto ring = MakeWith(kSmall, posix);
  ASSERT_TRUE(ring->KeyToSeal(10).ok());
  posix.error = EIO;
  EXPECT_EQ(CauseOf(ring->SettleSeals()), Cause::kIo);
  EXPECT_FALSE(ring->KeyToSeal(1).ok()) << "the file may say 10";
  posix.error = 0;
  EXPECT_TRUE(ring->KeyToSeal(1).ok());
  EXPECT_EQ(OnDisk(), 11 + kSmall.reserve);
}

TEST_F(Seals, AnotherKeyComesBeforeTheNextKeysLimit) {
  const auto ring = MakeWith(kSmall);
  std::map<DataKeyId, uint64_t> sealed;
  for (int i = 0; i < 3500; ++i) ++sealed[*ring->KeyToSeal(1)];
  EXPECT_EQ(sealed.size(), 4U);
  const Info info = ReopenWith(kSmall)->GetInfo();
  for (const DataKeyRecord& record : info.data_keys) {
    EXPECT_LE(record.seals, kSmall.next_key);
    EXPECT_GE(record.seals, sealed[record.id]);
    EXPECT_EQ(record.state, record.id == 4 ? DataKeyState::kActive : DataKeyState::kRetired);
    EXPECT_TRUE(record.id == 4 || sealed[record.id] >= kSmall.next_key - kSmall.reserve) << record.id;
  }
}

// At the limits that are in force: 2^31, NIST's 2^32, and 2^22 reserved.
TEST_F(Seals, TheRealLimitsAreNists) {
  EXPECT_EQ(SealLimits{}.next_key, 2147483648U);
  EXPECT_EQ(SealLimits{}.most, 4294967296U);
  const auto ring = MakeRing();
  ASSERT_EQ(*ring->KeyToSeal(2147483648U - 2 * SealLimits{}.reserve), 1U);
  ASSERT_EQ(*ring->KeyToSeal(256), 1U);
  uint64_t sealed = 0;
  while (*ring->KeyToSeal(256) == 1) ASSERT_LE(sealed += 256, 2 * SealLimits{}.reserve);
  EXPECT_EQ(ring->Active(), 2U);
  EXPECT_LE(OnDisk(1), 2147483648U);
  EXPECT_LE(OnDisk(2), 256 + SealLimits{}.reserve);
}

TEST_F(Seals, ARotationStartsACountOfItsOwn) {
  const auto ring = MakeWith(kSmall);
  ASSERT_EQ(*ring->KeyToSeal(500), 1U);
  ASSERT_TRUE(ring->Rewrap(next_, kBudget).ok());
  ASSERT_EQ(*ring->KeyToSeal(5), 2U);
  const Info info = ring->GetInfo();
  EXPECT_EQ(info.data_keys[0].seals, 500 + kSmall.reserve);
  EXPECT_EQ(info.data_keys[1].seals, 5 + kSmall.reserve);
}

// Where no other key can be made: there are 4096 in use, none of which a proof lets go.
TEST_F(Seals, NothingIsSealedBeyondTheLimit) {
  FillWithRetired();
  UnsyncedPosix posix;
  const auto opened = KeyRing::Open(With(kSmall, posix), {identity_, 0}, kms_, kBudget);
  ASSERT_TRUE(opened.ok()) << opened.status();
  KeyRing* ring = opened->get();
  uint64_t sealed = 0;
  StatusOr<DataKeyId> key = ring->KeyToSeal(10);
  for (; key.ok(); key = ring->KeyToSeal(10)) ASSERT_LE(sealed += 10, 2000U);
  EXPECT_EQ(sealed, 2000U);
  EXPECT_EQ(CauseOf(key.status()), Cause::kResourceExhausted);
  EXPECT_THAT(std::string(key.status().message()),
              ::testing::AllOf(::testing::HasSubstr("data key 4096 has sealed all the boxes that it may"),
                               ::testing::HasSubstr("4096 data keys in use")));
  EXPECT_FALSE(ring->KeyToSeal(1).ok());
  EXPECT_EQ(OnDisk(4096), 2000U);
  ASSERT_TRUE(ring->DestroyDataKey(7).ok());
  EXPECT_EQ(*ring->KeyToSeal(1), 4097U) << "there is room for another";
}

TEST_F(Seals, AFullDiskIsNoticedLongBeforeItStopsAnybody) {
  RefusingPosix posix;
  const auto ring = MakeWith({100'000, 200'000, 1600}, posix);
  ASSERT_TRUE(ring->KeyToSeal(1).ok());
  posix.error = ENOSPC;
  uint64_t sealed = 1;
  StatusOr<DataKeyId> key = ring->KeyToSeal(1);
  for (; key.ok(); key = ring->KeyToSeal(1)) ++sealed;
  EXPECT_EQ(sealed, OnDisk()) << "all that was reserved, and no more";
  EXPECT_EQ(CauseOf(key.status()), Cause::kResourceExhausted);
  EXPECT_EQ(ErrnoOf(key.status()), ENOSPC);
  EXPECT_THAT(std::string(key.status().message()), ::testing::HasSubstr("sealed under data key 1"));
  EXPECT_LT(posix.refused, 12) << "not with every box";
  posix.error = EROFS;
  EXPECT_EQ(ErrnoOf(ring->KeyToSeal(1).status()), EROFS);
  posix.error = 0;
  EXPECT_EQ(*ring->KeyToSeal(1), 1U);
  EXPECT_EQ(OnDisk(), sealed + 1 + 1600) << "what was refused is not counted";
}

// Keys change under the threads, by count and by rotation; another settles meanwhile.
TEST_F(Seals, ThreadsNeverSealMoreThanTheFileSays) {
  constexpr int kRounds = 500;
  UnsyncedPosix posix;
  const auto ring = MakeWith({20'000, 40'000, 640}, posix);
  std::vector<std::atomic<uint64_t>> sealed(kMaxDataKeys + 1);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const auto key = ring->KeyToSeal(16);
        ASSERT_TRUE(key.ok()) << key.status();
        sealed[*key] += 16;
      }
    });
  }
  std::thread changes([&] {
    for (int i = 0; !done; ++i) {
      ASSERT_TRUE(i % 4 == 0 && i < 1000 ? ring->AddDataKey().ok() : ring->SettleSeals().ok());
      for (const DataKeyRecord& record : ring->GetInfo().data_keys) ASSERT_LE(record.seals, 20'000U);
    }
  });
  for (std::thread& thread : threads) thread.join();
  done = true;
  changes.join();
  uint64_t all = 0;
  for (const DataKeyRecord& record : Reopen(kms_).value()->GetInfo().data_keys) {
    EXPECT_LE(sealed[record.id], record.seals) << record.id;
    all += sealed[record.id];
  }
  EXPECT_EQ(all, uint64_t{4} * kRounds * 16);
}

}  // namespace
}  // namespace keyhold::keyring
