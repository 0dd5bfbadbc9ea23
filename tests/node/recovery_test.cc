// A node and its recovery key: sealed when it is told, warned when it was used, back when its ring was
// recovered.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "keyring/keyring.h"
#include "node/memory.h"
#include "tests/node/rig.h"

namespace keyhold::node {
namespace {

using ::testing::HasSubstr;
using wire::NodeState;
using wire::NodeStatus;

const crypto::RsaPrivateKey& PrivateKey() {
  static const crypto::RsaPrivateKey key = *crypto::RsaPrivateKey::Generate(2048);
  return key;
}
std::string KeyId() { return crypto::RsaPublicKey::FromPem(PrivateKey().PublicPem())->Fingerprint(); }

class RecoveryTest : public NodeTest {
 protected:
  void Seal() {
    Serve();
    Want([](wire::DesiredNode& desired) { desired.recovery_public_key = PrivateKey().PublicPem(); });
    Await([](const NodeStatus& s) { return s.recovery && s.recovery->key_id == KeyId(); }, "a sealed store");
  }
  // As `keyhold store recover` does, to the second key.
  void Recover() {
    const int dir = open((options_.dir + "/store").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(dir, 0);
    const auto next = *kms_.Open({kms::KeyType::kAwsKms, kSecondKey, ""});
    const keyring::Place place{SystemPosix(), dir, crypto::SystemRandom(), SystemClock()};
    const auto peeked = keyring::PeekKeyRing(SystemPosix(), dir);
    ASSERT_TRUE(peeked.ok());
    const auto ring = keyring::KeyRing::Recover(place, {peeked->identity, peeked->epoch}, PrivateKey(), *next,
                                                absl::Seconds(5));
    close(dir);
    ASSERT_TRUE(ring.ok()) << ring.status();
  }
};

TEST_F(RecoveryTest, TheStoreIsSealedWhenItIsToldAndNoMoreWhenItIsTakenBack) {
  Seal();
  EXPECT_EQ(ReadMemory(options_.dir)->recovery->key_id, KeyId());
  WantKey(kSecondKey);
  Await([](const NodeStatus& s) { return s.keys[0].spec.uri == kSecondKey && s.recovery; }, "the second key");
  EXPECT_EQ(Status_().recovery->key_id, KeyId()) << "a rotation keeps it";
  EXPECT_EQ(Status_().recovery->used_at, "");
  EXPECT_FALSE(Status_().warning.has_value());
  Want([](wire::DesiredNode& desired) { desired.recovery_public_key.clear(); });
  Await([](const NodeStatus& s) { return !s.recovery; }, "an unsealed store");
}

TEST_F(RecoveryTest, ALockedNodeStillTellsThatThereIsOne) {
  Seal();
  kms_.Answer(kFirstKey, Error(Cause::kKmsKeyNotFound, "destroyed"));
  EXPECT_EQ(AwaitLock(Cause::kKmsKeyNotFound).recovery->key_id, KeyId());
  Stop();
  Start();
  EXPECT_EQ(AwaitLock(Cause::kKmsKeyNotFound).recovery->key_id, KeyId());
}

// It would look again after a quarter of an hour: a destroyed key does not come back. The replaced ring is
// noticed at once.
TEST_F(RecoveryTest, ALockedNodeReturnsByItselfWhenItsRingIsRecovered) {
  Seal();
  kms_.Answer(kFirstKey, Error(Cause::kKmsKeyNotFound, "destroyed"));
  AwaitLock(Cause::kKmsKeyNotFound);
  const uint64_t calls = kms_.Calls(kFirstKey);
  Recover();
  const NodeStatus status = AwaitState(NodeState::kServing);
  EXPECT_EQ(status.keys[0].spec.uri, kSecondKey);
  EXPECT_EQ(status.keys[0].status, "ENABLED");
  EXPECT_EQ(kms_.Calls(kFirstKey), calls);
  EXPECT_NE(status.recovery->used_at, "");
  const NodeStatus warned = Await([](const NodeStatus& s) { return s.warning.has_value(); }, "a warning");
  EXPECT_EQ(warned.warning->cause, "RECOVERY_USED");
  EXPECT_THAT(warned.warning->message, HasSubstr("make another recovery key"));
  Stop();
  Start();
  AwaitState(NodeState::kServing);
  EXPECT_EQ(Await([](const NodeStatus& s) { return s.warning.has_value(); }, "a warning").warning->cause,
            "RECOVERY_USED");
  Want([](wire::DesiredNode& desired) {
    desired.recovery_public_key = crypto::RsaPrivateKey::Generate(2048)->PublicPem();
  });
  Await([](const NodeStatus& s) { return s.recovery->key_id != KeyId() && !s.warning; },
        "another recovery key");
  EXPECT_NE(Status_().recovery->used_at, "") << "that stays known";
}

TEST_F(RecoveryTest, AnOlderRingThatIsPutBackIsRefusedAfterARecovery) {
  Seal();
  Stop();
  const std::string path = options_.dir + "/store/keyring";
  const std::string old = testing::ReadFile(path);
  Recover();
  Start();
  AwaitState(NodeState::kServing);
  Stop();
  testing::WriteFile(path, old);
  Start();
  const NodeStatus failed = Await(
      [](const NodeStatus& s) { return s.state == NodeState::kFailed && !s.failure.empty(); }, "refusal");
  EXPECT_THAT(failed.failure, HasSubstr("older copy"));
}

TEST_F(RecoveryTest, ARevokedNodeStaysSoThoughItsRingIsRecovered) {
  Seal();
  Want([](wire::DesiredNode& desired) { desired.revoked = true; });
  Await([](const NodeStatus& s) { return s.state == NodeState::kLocked; }, "REVOKED");
  Recover();
  Nudge();
  Await([&](const NodeStatus& s) { return s.observed_generation == desired_.generation; }, "news");
  EXPECT_EQ(Status_().state, NodeState::kLocked);
  EXPECT_EQ(kms_.Calls(kSecondKey), 2U) << "of the recovery alone: its wrap and its unwrap";
}

}  // namespace
}  // namespace keyhold::node
