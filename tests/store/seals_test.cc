// A store under a real key ring that counts: keys run out under writers and under re-encryption itself, and
// no box is missing in the count.
#include <gmock/gmock.h>

#include <thread>

#include "keyring/keyring.h"
#include "store/reencrypt.h"
#include "tests/kms/fake_kms.h"
#include "tests/store/tree_fixture.h"

namespace keyhold::store {
namespace {

constexpr absl::Duration kBudget = absl::Seconds(5);
constexpr keyring::SealLimits kFew{3000, 6000, 256};

// Where a store's nonces come from: 12 bytes each, some at a time. Nothing else that it draws has such a
// size.
class CountingRandom final : public crypto::Random {
 public:
  void Fill(crypto::MutableBytes out) override {
    if (out.size() % sizeof(crypto::GcmNonce) == 0) nonces_ += out.size() / sizeof(crypto::GcmNonce);
    crypto::SystemRandom().Fill(out);
  }
  void FillSecret(crypto::MutableBytes out) override { crypto::SystemRandom().FillSecret(out); }
  uint64_t nonces() const { return nonces_; }

 private:
  std::atomic<uint64_t> nonces_{0};
};

class SealsTest : public testing::TreeFixture {
 protected:
  void SetUp() override {
    TreeFixture::SetUp();
    const keyring::Place place{SystemPosix(), ring_dir_.fd(), crypto::SystemRandom(), SystemClock(), kFew};
    auto ring = keyring::KeyRing::Create(place, {"c", "us-east-1", "n"}, kms_, kBudget);
    ASSERT_TRUE(ring.ok()) << ring.status();
    ring_ = *std::move(ring);
    OpenTree({SystemPosix(), random_, *ring_, counter_});
  }
  void TearDown() override { tree_.reset(); }

  uint64_t Counted() const {
    uint64_t all = 0;
    for (const auto& record : ring_->GetInfo().data_keys) all += record.seals;
    return all;
  }
  static std::string Text(int file, int version) {
    return std::string(100 * kPayloadSize + 17, static_cast<char>('a' + (file + version) % 26));
  }

  testing::TempDir ring_dir_;
  testing::FakeKms kms_{testing::FakeKms::kKeyA, crypto::SystemRandom()};
  std::unique_ptr<keyring::KeyRing> ring_;
  CountingRandom random_;
};

TEST_F(SealsTest, EveryNonceThatIsDrawnIsCounted) {
  for (int i = 0; i < 8; ++i) SyncAndSeal(Make(tree_->root(), "file" + std::to_string(i), Text(i, 0)));
  Inode* file = Find(tree_->root(), "file3");
  ASSERT_TRUE(tree_->SetAttribute(file, "user.colour", "blue", 0).ok());
  ASSERT_TRUE(tree_->MakeSymlink(tree_->root(), "link", "file3", kMe).ok());
  Change shorter;
  shorter.size = 5000;
  ASSERT_TRUE(tree_->SetAttributes(file, shorter).ok());
  ASSERT_TRUE(ring_->AddDataKey().ok());
  Reencryption reencryption(*tree_, SystemClock());
  ASSERT_TRUE(reencryption.Start({0, 1}).ok());
  ASSERT_EQ(reencryption.Wait().state, ReencryptState::kDone);
  tree_.reset();
  ASSERT_TRUE(ring_->SettleSeals().ok());
  EXPECT_GT(random_.nonces(), 1500U);
  EXPECT_GE(Counted(), random_.nonces());
  EXPECT_LE(Counted(), random_.nonces() + kFew.reserve) << "and little else is";
}

TEST_F(SealsTest, KeysRunOutUnderWritersAndReencryption) {
  constexpr int kFiles = 4;
  constexpr int kVersions = 25;
  constexpr uint64_t kBlocks = uint64_t{kFiles} * kVersions * 101;
  std::vector<Inode*> files;
  files.reserve(kFiles);
  for (int i = 0; i < kFiles; ++i) files.push_back(Make(tree_->root(), "file" + std::to_string(i), "x"));
  Reencryption reencryption(*tree_, SystemClock());
  std::vector<std::thread> writers;
  writers.reserve(kFiles);
  for (int i = 0; i < kFiles; ++i) {
    writers.emplace_back([&, i] {
      for (int version = 0; version < kVersions; ++version) {
        const std::string text = Text(i, version);
        ASSERT_TRUE(tree_->Write(files[i], 0, crypto::AsBytes(text), Durability::kLazy).ok());
      }
    });
  }
  (void)ring_->AddDataKey();
  ASSERT_TRUE(reencryption.Start({0, 1}).ok());
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(reencryption.Wait().state, ReencryptState::kDone);
  EXPECT_GE(ring_->Active(), 1 + kBlocks / kFew.next_key);
  ASSERT_TRUE(reencryption.Start({0, 1}).ok());
  const ReencryptProgress done = reencryption.Wait();
  ASSERT_EQ(done.state, ReencryptState::kDone) << done.status;
  ASSERT_TRUE(DestroyUnusedKeys(*ring_, done).ok());
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_TRUE(*ReadAll(files[i]) == Text(i, kVersions - 1)) << i;
  }
  for (const auto& record : ring_->GetInfo().data_keys) EXPECT_LE(record.seals, kFew.next_key);
  EXPECT_GE(Counted(), random_.nonces());
}

}  // namespace
}  // namespace keyhold::store
