// What a node makes of its probes' answers, and when a closed one tries again.
#include "node/key_watch.h"

#include <gtest/gtest.h>

#include "node/reopening.h"

namespace keyhold::node {
namespace {

const ProbeTiming kTiming{absl::Seconds(2), absl::Minutes(15)};
const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

Status Refusal(Cause cause = Cause::kKmsDenied) { return Error(cause, "no"); }
Status Silence(Cause cause = Cause::kKmsUnreachable) { return Error(cause, "..."); }

class KeyWatchTest : public ::testing::Test {
 protected:
  // Judges `probe` and lets the time pass until the next.
  Verdict Judge(const Status& probe) {
    const Verdict verdict = watch_.Judge(probe, now_, kTiming);
    now_ += verdict.next;
    return verdict;
  }
  KeyWatch watch_;
  absl::Time now_ = kStart;
};

TEST_F(KeyWatchTest, ARefusalIsConfirmedAtOnceAndThenLost) {
  for (const Cause cause :
       {Cause::kKmsDenied, Cause::kKmsDisabled, Cause::kKmsPendingDeletion, Cause::kKmsKeyNotFound}) {
    watch_.Reset();
    const Verdict first = Judge(Refusal(cause));
    EXPECT_EQ(first.kind, Verdict::kServeOn);
    EXPECT_EQ(first.next, absl::ZeroDuration());
    EXPECT_EQ(first.locks_at, absl::InfiniteFuture()) << "nothing to warn of yet";
    EXPECT_EQ(Judge(Refusal(cause)).kind, Verdict::kLost);
  }
}

TEST_F(KeyWatchTest, WithoutAGraceTheSecondSilenceLocksAndOneDoesNot) {
  const ProbeTiming lock{absl::Seconds(2), absl::ZeroDuration()};
  for (const Cause cause : {Cause::kKmsUnreachable, Cause::kKmsThrottled, Cause::kKmsCorrupt}) {
    watch_.Reset();
    for (int i = 0; i < 3; ++i) {
      const Verdict first = watch_.Judge(Silence(cause), now_, lock);
      EXPECT_EQ(first.kind, Verdict::kServeOn);
      EXPECT_EQ(first.next, absl::ZeroDuration()) << "it is asked again at once";
      EXPECT_EQ(watch_.Judge(OkStatus(), now_, lock).kind, Verdict::kUsable);
    }
    watch_.Judge(Silence(cause), now_, lock);
    EXPECT_EQ(watch_.Judge(Silence(cause), now_, lock).kind, Verdict::kLost);
  }
}

TEST_F(KeyWatchTest, AnAnswerInBetweenTakesTheSuspicionAway) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Judge(Refusal()).kind, Verdict::kServeOn);
    EXPECT_EQ(Judge(OkStatus()).kind, Verdict::kUsable);
  }
}

// Answers every other time, and the other times not at all: the two refusals are not missed.
TEST_F(KeyWatchTest, TriesWithoutAnAnswerNeitherConfirmNorAcquit) {
  for (const Cause silent : {Cause::kKmsUnreachable, Cause::kKmsThrottled, Cause::kKmsCorrupt}) {
    watch_.Reset();
    const absl::Time start = now_;
    EXPECT_EQ(Judge(Refusal()).kind, Verdict::kServeOn);
    EXPECT_EQ(Judge(Silence(silent)).kind, Verdict::kServeOn);
    EXPECT_EQ(Judge(Silence(silent)).kind, Verdict::kServeOn);
    EXPECT_EQ(Judge(Refusal()).kind, Verdict::kLost);
    EXPECT_LT(now_ - start, absl::Seconds(1)) << "a suspicion is followed up at once";
  }
}

TEST_F(KeyWatchTest, ALongSilenceAfterARefusalIsNotHammered) {
  Judge(Refusal());
  int tries = 0;
  for (const absl::Time start = now_; now_ - start < absl::Minutes(5); ++tries) Judge(Silence());
  EXPECT_LT(tries, 160);
  EXPECT_EQ(Judge(Refusal()).kind, Verdict::kLost);
}

TEST_F(KeyWatchTest, SilenceIsBorneForTheGraceAndNoLonger) {
  Verdict verdict = Judge(Silence());
  EXPECT_EQ(verdict.since, kStart);
  EXPECT_EQ(verdict.locks_at, kStart + kTiming.grace);
  while (now_ < kStart + kTiming.grace) {
    verdict = Judge(Silence());
    ASSERT_EQ(verdict.kind, Verdict::kServeOn);
  }
  EXPECT_LE(now_, kStart + kTiming.grace + absl::Seconds(1)) << "and not a probe's interval later";
  EXPECT_EQ(Judge(Silence()).kind, Verdict::kLost);
}

TEST_F(KeyWatchTest, AnAnswerStartsTheGraceAnew) {
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(Judge(Silence()).kind, Verdict::kServeOn);
    ASSERT_EQ(Judge(OkStatus()).kind, Verdict::kUsable);
  }
}

TEST_F(KeyWatchTest, ThrottledProbesBackOffAndNeverLockEarly) {
  absl::Duration longest;
  int tries = 0;
  Verdict verdict;
  for (; now_ < kStart + kTiming.grace; ++tries) {
    verdict = Judge(Silence(Cause::kKmsThrottled));
    EXPECT_EQ(verdict.kind, Verdict::kServeOn);
    longest = std::max(longest, verdict.next);
  }
  EXPECT_LE(longest, kLongestThrottle);
  EXPECT_LT(tries, 40) << "every 2 s would be 450";
  EXPECT_EQ(Judge(Silence(Cause::kKmsThrottled)).kind, Verdict::kLost);
  watch_.Reset();
  EXPECT_EQ(Judge(Silence(Cause::kKmsThrottled)).next, kTiming.interval) << "and starts low again";
}

TEST(Reopening, AKeyThatComesBackIsNoticedWithinAnInterval) {
  Reopening reopening;
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(reopening.Next(ClosedBy::kKeyLost, kTiming.interval, kStart + i * kTiming.interval),
              kTiming.interval);
}

TEST(Reopening, ADestroyedKeyIsAskedForRarely) {
  Reopening reopening;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(reopening.Next(ClosedBy::kKeyDestroyed, kTiming.interval, kStart), kDestroyedRetry);
}

TEST(Reopening, AFailureIsTriedAgainEverMoreSlowly) {
  Reopening reopening;
  EXPECT_EQ(reopening.Next(ClosedBy::kFailure, kTiming.interval, kStart), kFirstFailedRetry);
  EXPECT_EQ(reopening.Next(ClosedBy::kFailure, kTiming.interval, kStart), 2 * kFirstFailedRetry);
  for (int i = 0; i < 20; ++i) reopening.Next(ClosedBy::kFailure, kTiming.interval, kStart);
  EXPECT_EQ(reopening.Next(ClosedBy::kFailure, kTiming.interval, kStart), kLongestFailedRetry);
  reopening.NoteOpened(kStart);
  EXPECT_EQ(reopening.Next(ClosedBy::kFailure, kTiming.interval, kStart), kFirstFailedRetry);
}

// A key that is there and gone every other moment: the first returns are quick, then no more than one a
// minute.
TEST(Reopening, OpeningsThatLastAreNoStorm) {
  Reopening reopening;
  absl::Time now = absl::UnixEpoch();
  for (int n = 0; n < 20; ++n) {
    reopening.NoteOpened(now);
    now += kLastingIntervals * absl::Seconds(2);
    EXPECT_EQ(reopening.Next(ClosedBy::kKeyLost, absl::Seconds(2), now), absl::Seconds(2));
    EXPECT_EQ(reopening.Next(ClosedBy::kKeyLost, absl::Seconds(2), now), absl::Seconds(2));
  }
}

TEST(Reopening, AStormCalmsDown) {
  Reopening reopening;
  absl::Time now = kStart;
  int openings = 0;
  for (; now < kStart + absl::Hours(1); ++openings) {
    now += absl::Seconds(4);
    reopening.NoteOpened(now);
    const absl::Duration wait = reopening.Next(ClosedBy::kKeyLost, kTiming.interval, now);
    EXPECT_TRUE(openings >= 2 || wait == kTiming.interval) << wait;
    EXPECT_LE(wait, kLongestStormRetry);
    now += wait;
  }
  EXPECT_LT(openings, 90) << "without damping it would be 600";
  EXPECT_EQ(reopening.Next(ClosedBy::kKeyLost, kTiming.interval, now + kStormWindow), kTiming.interval);
}

}  // namespace
}  // namespace keyhold::node
