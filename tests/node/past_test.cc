// What a node remembers of its past: older copies that were put back, and a key that was seen to be doomed.
#include <gmock/gmock.h>

#include <filesystem>

#include "node/generation.h"
#include "node/memory.h"
#include "node/reopening.h"
#include "tests/node/rig.h"

namespace keyhold::node {
namespace {

using ::testing::HasSubstr;
using wire::NodeState;
using wire::NodeStatus;

void Shell(const std::string& command) { ASSERT_EQ(system(command.c_str()), 0) << command; }

class PastTest : public NodeTest {
 protected:
  // With all that makes a file what it is: the store's identities are extended attributes.
  void Save(const std::string& what) {
    Shell("cp -a " + options_.dir + "/" + what + " " + dir_.File("saved-" + what));
  }
  void PutBack(const std::string& what) {
    Shell("rm -rf " + options_.dir + "/" + what + " && cp -a " + dir_.File("saved-" + what) + " " +
          options_.dir + "/" + what);
  }
  NodeStatus AwaitRefusal() {
    const NodeStatus status = Await(
        [&](const NodeStatus& s) {
          return s.state == NodeState::kFailed && !s.failure.empty() && !Mounted();
        },
        "refusal of an older copy");
    EXPECT_THAT(status.failure, HasSubstr("older copy"));
    EXPECT_THAT(status.failure, HasSubstr("back"));
    EXPECT_THAT(Sql(), HasSubstr("older copy"));
    return status;
  }
};

TEST_F(PastTest, AnOlderKeyRingIsRefusedUntilTheLatestIsBack) {
  Serve();
  const std::string path = options_.dir + "/store/keyring";
  const std::string old = testing::ReadFile(path);
  WantKey(kSecondKey);
  Await([](const NodeStatus& s) { return !s.keys.empty() && s.keys[0].spec.uri == kSecondKey; },
        "second key");
  Stop();
  const std::string latest = testing::ReadFile(path);
  testing::WriteFile(path, old);
  const uint64_t calls = kms_.Calls(kFirstKey);
  Start();
  AwaitRefusal();
  EXPECT_EQ(kms_.Calls(kFirstKey), calls) << "the old key is not even asked";
  testing::WriteFile(path, latest);
  clock_.Advance(kLongestFailedRetry);
  Nudge();
  AwaitState(NodeState::kServing);
}

TEST_F(PastTest, AKeyRingFromBeforeCmekDoesNotDisableIt) {
  Start();
  AwaitState(NodeState::kServing);
  const std::string path = options_.dir + "/store/keyring";
  const std::string old = testing::ReadFile(path);
  WantKey(kFirstKey);
  Await([](const NodeStatus& s) { return s.cmek_status == "ENABLED"; }, "enabled key");
  Stop();
  testing::WriteFile(path, old);
  Start();
  AwaitRefusal();
}

TEST_F(PastTest, AnOlderStoreIsRefusedUntilTheLatestIsBack) {
  Serve();
  Stop();
  Save("store");
  Start();
  AwaitState(NodeState::kServing);
  Stop();
  Shell("mv " + options_.dir + "/store " + dir_.File("latest"));
  Shell("cp -a " + dir_.File("saved-store") + " " + options_.dir + "/store");
  // The key ring changes with what is sealed: it is left as it is, so that the generation alone can tell.
  Shell("cp -a " + dir_.File("latest") + "/keyring " + options_.dir + "/store/keyring");
  Start();
  EXPECT_THAT(AwaitRefusal().failure, HasSubstr("generation"));
  Shell("rm -r " + options_.dir + "/store && mv " + dir_.File("latest") + " " + options_.dir + "/store");
  clock_.Advance(kLongestFailedRetry);
  Nudge();
  AwaitState(NodeState::kServing);
}

TEST_F(PastTest, ACopyOfARunningStoreIsOlderOnceTheNodeHasStopped) {
  Serve();
  Shell("sync");
  Save("store");
  Stop();
  PutBack("store");
  Start();
  AwaitRefusal();
}

TEST_F(PastTest, WithTheMemoryPutBackTooTheServersWordCounts) {
  Serve();
  Stop();
  Save("store");
  Save("state.json");
  Start();
  AwaitState(NodeState::kServing);
  const NodeStatus seen = Status_();
  Stop();
  PutBack("store");
  PutBack("state.json");
  desired_.min_key_ring_epoch = seen.key_ring_epoch;
  desired_.min_store_generation = seen.store_generation;
  Start();
  AwaitRefusal();
}

TEST_F(PastTest, TheServersWordCountsWhenItComesLate) {
  Serve();
  Stop();
  Save("store");
  Save("state.json");
  for (int i = 0; i < 3; ++i) {
    Start();
    AwaitState(NodeState::kServing);
    Stop();
  }
  Start();
  const NodeStatus seen = AwaitState(NodeState::kServing);
  Stop();
  PutBack("store");
  PutBack("state.json");
  Start();
  AwaitState(NodeState::kServing);
  Want([&](wire::DesiredNode& desired) {
    --desired.generation;  // none of a user's changes: the server's knowledge alone
    desired.min_store_generation = seen.store_generation;
  });
  AwaitRefusal();
}

TEST_F(PastTest, KillsAndCrashesAreNoOlderCopies) {
  Serve();
  // A generation that was written and not remembered, as a crash in between leaves it.
  Stop();
  auto memory = ReadMemory(options_.dir);
  ASSERT_TRUE(memory.ok());
  ASSERT_GT(memory->store_generation, 1U);
  memory->store_generation -= 1;
  ASSERT_TRUE(WriteMemory(options_.dir, *memory).ok());
  Start();
  AwaitState(NodeState::kServing);
}

TEST_F(PastTest, AGenerationThatIsNoneIsCorrupt) {
  EXPECT_EQ(*ReadGeneration(dir_.path()), 0U);
  testing::WriteFile(dir_.File("generation"), "42\n");
  EXPECT_EQ(*ReadGeneration(dir_.path()), 42U);
  for (const char* text : {"", "42", "-1\n", "x\n", "99999999999999999999999\n", "4\n2\n"}) {
    testing::WriteFile(dir_.File("generation"), text);
    EXPECT_EQ(CauseOf(ReadGeneration(dir_.path()).status()), Cause::kCorrupt) << text;
  }
}

// --- a key that is destroyed ------------------------------------------------------------------------------

class DoomTest : public PastTest {
 protected:
  void Schedule() {
    Serve();
    due_ = clock_.Now() + absl::Hours(24 * 7);
    kms_.Describe(kFirstKey,
                  {kFirstKey, "us-east-1", "PendingDeletion", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", due_});
    kms_.Answer(kFirstKey, Error(Cause::kKmsPendingDeletion, "waits for its deletion"));
    Await(
        [](const NodeStatus& s) { return s.lock && s.lock->message.find("is due at") != std::string::npos; },
        "date");
  }
  absl::Time due_;
};

TEST_F(DoomTest, TheDateIsToldWhileTheDeletionCanBeCancelled) {
  Schedule();
  const std::string day = absl::FormatTime("%Y-%m-%d", due_, absl::UTCTimeZone());
  EXPECT_THAT(Sql(), HasSubstr(day));
  EXPECT_EQ(Status_().lock->cause, "KMS_PENDING_DELETION");
}

// AWS answers a stranger AccessDenied for a key that is gone.
TEST_F(DoomTest, DeniedAfterTheDateIsDestroyedAndBeforeItIsNot) {
  Schedule();
  kms_.Answer(kFirstKey, Error(Cause::kKmsDenied, "AccessDeniedException"));
  AwaitLock(Cause::kKmsDenied);
  Stop();
  clock_.Advance(absl::Hours(24 * 7));
  Start();
  const NodeStatus status = AwaitLock(Cause::kKmsKeyNotFound);
  EXPECT_THAT(status.lock->message, HasSubstr("cannot be recovered"));
  EXPECT_THAT(status.lock->message, HasSubstr(kFirstKey));
  EXPECT_THAT(Sql(), HasSubstr("cannot be recovered"));
}

TEST_F(DoomTest, ADestroyedKeyIsAskedForRarelyAndNothingIsDeleted) {
  Schedule();
  const auto files = [&] {
    return std::distance(std::filesystem::recursive_directory_iterator(options_.dir + "/store"),
                         std::filesystem::recursive_directory_iterator());
  };
  const auto before = files();
  clock_.Advance(absl::Hours(24 * 7));
  kms_.Answer(kFirstKey, Error(Cause::kKmsKeyNotFound, "NotFoundException"));
  Nudge();
  AwaitLock(Cause::kKmsKeyNotFound);
  Await([&](const NodeStatus& s) { return s.observed_generation == desired_.generation; }, "news");
  const uint64_t calls = kms_.Calls(kFirstKey);
  const absl::Duration step = absl::Minutes(1);
  for (absl::Duration past; past < absl::Hours(1); past += step) {
    clock_.Advance(step);
    Nudge();
    Await([&](const NodeStatus& s) { return s.observed_generation == desired_.generation; }, "news");
  }
  EXPECT_LE(kms_.Calls(kFirstKey), calls + 6) << "every 15 minutes, and not every 100 ms";
  EXPECT_EQ(files(), before);
}

TEST_F(DoomTest, ACancelledDeletionIsForgotten) {
  Schedule();
  kms_.Answer(kFirstKey, Error(Cause::kKmsDisabled, "disabled"));
  AwaitLock(Cause::kKmsDisabled);
  clock_.Advance(absl::Hours(24 * 8));
  kms_.Answer(kFirstKey, Error(Cause::kKmsDenied, "AccessDeniedException"));
  Nudge();
  AwaitLock(Cause::kKmsDenied);
  kms_.Work(kFirstKey);
  AwaitState(NodeState::kServing);
}

}  // namespace
}  // namespace keyhold::node
