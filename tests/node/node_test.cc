// A node in every state, and every event in each: what it does, what SQL sees, what the user is told. The
// table is docs/state-machine.md.
#include "node/node.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "node/reopening.h"
#include "tests/node/rig.h"

namespace keyhold::node {
namespace {

using ::testing::HasSubstr;
using wire::NodeState;
using wire::NodeStatus;

Status No(Cause cause) { return Error(cause, "the KMS says no to " + std::string(kFirstKey)); }

class StateTest : public NodeTest {
 protected:
  void Lock(Cause cause = Cause::kKmsDisabled) {
    Serve();
    kms_.Answer(kFirstKey, No(cause));
    AwaitLock(cause);
  }
  void Fail() {
    Lock();
    Make("postgres", "fail");
    kms_.Work(kFirstKey);
    AwaitFailed();
  }
  NodeStatus AwaitFailed() {
    return Await(
        [&](const NodeStatus& s) {
          return s.state == NodeState::kFailed && s.lock && !s.failure.empty() && !Mounted();
        },
        "failure");
  }
  void Revoke() {
    Want([](wire::DesiredNode& desired) { desired.revoked = true; });
  }
  void ExpectRevoked() {
    const NodeStatus status = Await(
        [](const NodeStatus& s) {
          return s.lock && s.lock->cause == "REVOKED" && s.state == NodeState::kLocked;
        },
        "REVOKED");
    EXPECT_EQ(status.cmek_status, "REVOKED");
    EXPECT_THAT(Sql(), HasSubstr("revoked"));
    EXPECT_FALSE(Mounted());
    const uint64_t calls = kms_.Calls(kFirstKey);
    clock_.Advance(absl::Hours(1));
    Nudge();
    Await([&](const NodeStatus& s) { return s.observed_generation == desired_.generation; }, "news");
    EXPECT_EQ(kms_.Calls(kFirstKey), calls) << "a revoked node asks no KMS";
  }
  void ExpectStops() {
    node_->Stop();
    node_->Wait();
    EXPECT_EQ(Status_().state, NodeState::kStopped);
    EXPECT_FALSE(Mounted());
  }
};

TEST_F(StateTest, StartingServesWhenTheKeyAnswers) {
  Start();
  const NodeStatus status = AwaitState(NodeState::kServing);
  EXPECT_TRUE(LetIn());
  EXPECT_TRUE(Mounted());
  EXPECT_FALSE(status.lock.has_value());
  EXPECT_EQ(status.cmek_status, "DISABLED");
}

TEST_F(StateTest, StartingLocksWhenTheKeyIsRefused) {
  Serve();
  Stop();
  kms_.Answer(kFirstKey, No(Cause::kKmsDenied));
  Start();
  AwaitLock(Cause::kKmsDenied);
  EXPECT_THAT(Sql(), HasSubstr(kFirstKey));
  EXPECT_FALSE(Mounted());
}

TEST_F(StateTest, StartingLocksWhenTheKmsIsNotThere) {
  Serve();
  Stop();
  kms_.Answer(kFirstKey, No(Cause::kKmsUnreachable));
  Start();
  AwaitLock(Cause::kKmsUnreachable);
  kms_.Work(kFirstKey);
  AwaitState(NodeState::kServing);
}

TEST_F(StateTest, StartingRevokedStaysSoOverRestarts) {
  Serve();
  Revoke();
  ExpectRevoked();
  Stop();
  Start();
  ExpectRevoked();
}

TEST_F(StateTest, StartingFailsWhenTheEngineDoes) {
  Make("initdb", "fail");
  Start();
  AwaitFailed();
  EXPECT_FALSE(LetIn());
}

TEST_F(StateTest, StartingStops) {
  kms_.Answer("", [](uint64_t) {
    absl::SleepFor(absl::Milliseconds(200));
    return OkStatus();
  });
  Start();
  ExpectStops();
}

TEST_F(StateTest, ServingProbesWithRealUnwraps) {
  Serve();
  const uint64_t calls = kms_.Calls(kFirstKey);
  const std::string before = Status_().last_probe_at;
  Await([&](const NodeStatus& s) { return s.last_probe_at > before && kms_.Calls(kFirstKey) > calls; },
        "probe");
}

TEST_F(StateTest, ServingLocksOnEveryKindOfRefusal) {
  Serve();
  for (const Cause cause : {Cause::kKmsDenied, Cause::kKmsDisabled, Cause::kKmsPendingDeletion}) {
    kms_.Answer(kFirstKey, No(cause));
    const NodeStatus status = AwaitLock(cause);
    EXPECT_FALSE(status.lock->since.empty());
    EXPECT_THAT(Sql(), HasSubstr(kFirstKey));
    EXPECT_FALSE(Mounted());
    kms_.Work(kFirstKey);
    AwaitState(NodeState::kServing);
    EXPECT_TRUE(LetIn());
    clock_.Advance(absl::Minutes(6));  // no storm
    Nudge();
  }
}

TEST_F(StateTest, ServingLocksOnRevoke) {
  Serve();
  Revoke();
  ExpectRevoked();
  WantKey(kSecondKey);
  Await(
      [](const NodeStatus& s) {
        return s.state == NodeState::kServing && !s.keys.empty() && s.keys[0].spec.uri == kSecondKey;
      },
      "return under the second key");
  EXPECT_TRUE(LetIn());
}

TEST_F(StateTest, ServingStartsAnEngineThatEndedAgain) {
  Serve();
  const std::string pid = options_.mountpoint + "/data/postmaster.pid";
  const std::string before = testing::ReadFile(pid);
  KillEngine();
  Await([&](const NodeStatus&) { return testing::ReadFile(pid) != before; }, "engine");
  AwaitLetIn();
  EXPECT_EQ(Status_().state, NodeState::kServing);
}

TEST_F(StateTest, ServingFailsWhenTheEngineEndsAgainAndAgain) {
  Serve();
  Make("postgres", "fail");
  KillEngine();
  EXPECT_THAT(AwaitFailed().failure, HasSubstr("PostgreSQL"));
}

TEST_F(StateTest, ServingStops) {
  Serve();
  ExpectStops();
}

TEST_F(StateTest, LockedReturnsByItself) {
  Lock();
  kms_.Work(kFirstKey);
  AwaitState(NodeState::kServing);
  EXPECT_TRUE(LetIn());
}

TEST_F(StateTest, LockedTellsTheReasonOfNow) {
  Lock();
  const std::string since = Status_().lock->since;
  kms_.Answer(kFirstKey, No(Cause::kKmsPendingDeletion));
  EXPECT_GT(AwaitLock(Cause::kKmsPendingDeletion).lock->since, since);
  EXPECT_THAT(Sql(), HasSubstr("Cancel the key's deletion"));
}

TEST_F(StateTest, LockedCanBeRevoked) {
  Lock();
  Revoke();
  ExpectRevoked();
  kms_.Work(kFirstKey);
  WantKey(kFirstKey);
  AwaitState(NodeState::kServing);
}

TEST_F(StateTest, LockedFailsWhenTheKeyReturnsAndTheEngineDoesNot) {
  Fail();
  EXPECT_THAT(Sql(), HasSubstr("PostgreSQL ended while starting"));
}

TEST_F(StateTest, LockedStops) {
  Lock();
  ExpectStops();
}

TEST_F(StateTest, FailedReturnsWhenItIsMended) {
  Fail();
  Make("postgres", "");
  clock_.Advance(kLongestFailedRetry);
  Nudge();
  const NodeStatus status = AwaitState(NodeState::kServing);
  EXPECT_EQ(status.failure, "");
  EXPECT_TRUE(LetIn());
}

TEST_F(StateTest, FailedLocksWhenTheKeyGoesToo) {
  Fail();
  kms_.Answer(kFirstKey, No(Cause::kKmsDisabled));
  clock_.Advance(kLongestFailedRetry);
  Nudge();
  EXPECT_EQ(AwaitLock(Cause::kKmsDisabled).failure, "");
}

TEST_F(StateTest, FailedCanBeRevoked) {
  Fail();
  Revoke();
  ExpectRevoked();
}

TEST_F(StateTest, FailedStops) {
  Fail();
  ExpectStops();
}

// --- the KMS is not there ---------------------------------------------------------------------------------

TEST_F(StateTest, UnreachableIsServedThroughTheGraceWithAWarningThenLocks) {
  for (const Cause cause :
       {Cause::kKmsUnreachable, Cause::kKmsThrottled, Cause::kKmsCorrupt, Cause::kKmsBadCredentials}) {
    SCOPED_TRACE(std::string(CauseName(cause)));
    if (node_ == nullptr) Serve();
    kms_.Answer(kFirstKey, No(cause));
    const NodeStatus status = Await([](const NodeStatus& s) { return s.warning.has_value(); }, "warning");
    EXPECT_EQ(status.warning->cause, CauseName(cause));
    EXPECT_EQ(status.state, NodeState::kServing);
    EXPECT_GT(status.locks_at, status.warning->since);
    EXPECT_TRUE(LetIn());
    clock_.Advance(absl::Milliseconds(desired_.unreachable_grace_ms) - absl::Minutes(1));
    Nudge();
    Await([&](const NodeStatus& s) { return s.observed_generation == desired_.generation; }, "news");
    EXPECT_EQ(Status_().state, NodeState::kServing);
    clock_.Advance(absl::Minutes(1) + absl::Seconds(1));
    Nudge();
    EXPECT_FALSE(AwaitLock(cause).warning.has_value());
    kms_.Work(kFirstKey);
    AwaitState(NodeState::kServing);
  }
}

TEST_F(StateTest, ALyingKmsIsNeverUsed) {
  Serve();
  // The key ring is written once more when the data keys from before are gone.
  Await([](const NodeStatus& s) { return s.reencryption && s.reencryption->proof; }, "re-encryption");
  const std::string ring = testing::ReadFile(options_.dir + "/store/keyring");
  kms_.Lie(kFirstKey, true);
  Await([](const NodeStatus& s) { return s.warning && s.warning->cause == "KMS_CORRUPT"; }, "warning");
  EXPECT_EQ(Status_().state, NodeState::kServing);
  kms_.Lie(kSecondKey, true);
  WantKey(kSecondKey);
  Await([](const NodeStatus& s) { return s.cmek_status == "ROTATE_FAILED"; }, "failed rotation");
  EXPECT_EQ(testing::ReadFile(options_.dir + "/store/keyring"), ring) << "nothing that it said was written";
  Stop();
  Start();
  Await([](const NodeStatus& s) { return s.state == NodeState::kFailed || s.state == NodeState::kLocked; },
        "no opening");
  EXPECT_FALSE(Mounted());
  kms_.Lie(kFirstKey, false);
  clock_.Advance(kLongestFailedRetry);
  Nudge();
  AwaitState(NodeState::kServing);
}

TEST_F(StateTest, FlappingBetweenAnswersAndSilenceServesOn) {
  Serve();
  kms_.Answer(kFirstKey,
              [](uint64_t call) { return call % 2 == 0 ? No(Cause::kKmsUnreachable) : OkStatus(); });
  const uint64_t calls = kms_.Calls(kFirstKey);
  Await(
      [&](const NodeStatus& s) {
        return kms_.Calls(kFirstKey) > calls + 20 || s.state != NodeState::kServing;
      },
      "calls");
  EXPECT_EQ(Status_().state, NodeState::kServing);
}

TEST_F(StateTest, FlappingBetweenSilenceAndRefusalsLocks) {
  Serve();
  kms_.Answer(kFirstKey,
              [](uint64_t call) { return No(call % 2 == 0 ? Cause::kKmsUnreachable : Cause::kKmsDenied); });
  const absl::Time start = absl::Now();
  Await([](const NodeStatus& s) { return s.state == NodeState::kLocked; }, "lock");
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
}

// --- what waits for others does not hold up the probe -----------------------------------------------------

TEST_F(StateTest, ASqlUserWhoBlocksTheEngineDoesNotDelayTheLock) {
  Serve();
  Make("psql", "hang");
  Want([](wire::DesiredNode& desired) { desired.sql_users = {{"maya", "verifier"}}; });
  const absl::Time start = absl::Now();
  kms_.Answer(kFirstKey, No(Cause::kKmsDenied));
  Await([](const NodeStatus& s) { return s.lock.has_value(); }, "lock");
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_FALSE(LetIn());
}

TEST_F(StateTest, AnotherKmsThatHangsDoesNotDelayTheLock) {
  Serve();
  std::atomic<bool> asked = false;
  kms_.Answer(kSecondKey, [&](uint64_t) {
    asked = true;
    absl::SleepFor(absl::Seconds(4));
    return No(Cause::kKmsUnreachable);
  });
  WantKey(kSecondKey);
  while (!asked) absl::SleepFor(absl::Milliseconds(5));
  const absl::Time start = absl::Now();
  kms_.Answer(kFirstKey, No(Cause::kKmsDenied));
  Await([](const NodeStatus& s) { return s.lock.has_value(); }, "lock");
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  AwaitLock(Cause::kKmsDenied);
  kms_.Work(kSecondKey);
  kms_.Work(kFirstKey);
  Await(
      [](const NodeStatus& s) { return s.state == NodeState::kServing && s.keys[0].spec.uri == kSecondKey; },
      "the rotation, carried out after the return");
}

TEST_F(StateTest, UsersThatCannotBeAppliedAreTriedAgainAndTold) {
  Serve();
  Make("psql", "fail");
  Want([](wire::DesiredNode& desired) {
    desired.sql_users = {};
    desired.sql_users.push_back(
        {"maya",
         "SCRAM-SHA-256$4096:ZW5naW5lLXRlc3Qtc2FsdA==$v+qxJm61e+lhCkB19jPQJVauEuLcxyf9ox1uB2xDNwI=:"
         "YI4oS96kMFflwD23A4qQMEN1ucAcGxqy7TSVTg5jCy0="});
  });
  const NodeStatus status = Await([](const NodeStatus& s) { return s.warning.has_value(); }, "warning");
  EXPECT_THAT(status.warning->message, HasSubstr("SQL users are not up to date"));
  EXPECT_EQ(status.locks_at, "");
  EXPECT_LT(status.observed_generation, desired_.generation) << "they were not taken up";
  EXPECT_TRUE(LetIn());
  Make("psql", "");
  Await([&](const NodeStatus& s) { return s.observed_generation == desired_.generation && !s.warning; },
        "users");
}

TEST_F(StateTest, UsersThatCannotBeAppliedOnOpeningKeepTheDoorShutAndTheNodeUp) {
  Serve();
  Stop();
  // The bootstrap is psql's first run, the users its second.
  testing::WriteFile(options_.postgres_bin + "/psql",
                     "#!/bin/sh\ncat > /dev/null\n[ -e \"$0.once\" ] || { mkdir \"$0.d\" 2>/dev/null && exit "
                     "0; [ -e \"$0.ok\" ] || exit 1; }\n");
  chmod(options_.postgres_bin.c_str(), 0777);
  Start();
  AwaitState(NodeState::kServing);
  EXPECT_THAT(Sql(), HasSubstr("SQL users are being brought up to date"));
  testing::WriteFile(options_.postgres_bin + "/psql.ok", "");
  AwaitLetIn();
  EXPECT_EQ(Status_().state, NodeState::kServing);
}

TEST_F(StateTest, AUserThatNobodyCanMakeIsToldAndDoesNotShutOutTheOthers) {
  desired_.sql_users = {{"maya", "no verifier"}};
  Start();
  AwaitLetIn();
  EXPECT_THAT(Status_().warning->message, HasSubstr("not a SCRAM-SHA-256 verifier"));
}

TEST_F(StateTest, TheCertificateIsRenewedWhileTheNodeRuns) {
  Start();
  AwaitState(NodeState::kServing);
  const std::string before = testing::ReadFile(options_.dir + "/tls/cert.pem");
  const auto shown = [&] {
    const std::string address = Status_().sql_address;
    const std::string out = dir_.File("shown");
    EXPECT_EQ(system(("openssl s_client -starttls postgres -connect " + address +
                      " </dev/null 2>/dev/null | openssl x509 > " + out)
                         .c_str()),
              0);
    return testing::ReadFile(out);
  };
  EXPECT_EQ(shown(), before);
  clock_.Advance(absl::Hours(24 * 340));
  Nudge();
  Await([&](const NodeStatus&) { return testing::ReadFile(options_.dir + "/tls/cert.pem") != before; },
        "new certificate");
  const absl::Time until = absl::Now() + absl::Seconds(10);
  while (shown() == before) ASSERT_LT(absl::Now(), until);
  EXPECT_EQ(shown(), testing::ReadFile(options_.dir + "/tls/cert.pem"));
}

}  // namespace
}  // namespace keyhold::node
