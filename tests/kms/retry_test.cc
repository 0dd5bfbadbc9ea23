#include "kms/retry.h"

#include "tests/kms/fixture.h"

namespace keyhold::kms {
namespace {

class Retries : public Kmss {
 protected:
  RetryTools tools_{clock_, sleeper_, crypto::SystemRandom()};
};

TEST_F(Retries, EndWithTheFirstSuccess) {
  int calls = 0;
  EXPECT_TRUE(Retry(tools_, kBudget, [&](absl::Duration) -> TryResult {
                return {++calls < 3 ? Error(Cause::kKmsThrottled, "x") : OkStatus()};
              }).ok());
  EXPECT_EQ(calls, 3);
}

TEST_F(Retries, AreMadeOnceEvenWithoutBudget) {
  int calls = 0;
  EXPECT_EQ(CauseOf(Retry(tools_, absl::ZeroDuration(),
                          [&](absl::Duration) -> TryResult {
                            ++calls;
                            return {Error(Cause::kKmsUnreachable, "x")};
                          })),
            Cause::kKmsUnreachable);
  EXPECT_EQ(calls, 1);
}

TEST_F(Retries, WaitsGrowAndStayBounded) {
  const Status status = Retry(tools_, absl::Minutes(5), [&](absl::Duration) -> TryResult {
    return {Error(Cause::kKmsThrottled, "x")};
  });
  EXPECT_EQ(CauseOf(status), Cause::kKmsThrottled);
  ASSERT_GT(sleeper_.waits.size(), 20U);
  absl::Duration most = kFirstBackoff;
  absl::Duration longest;
  for (const absl::Duration wait : sleeper_.waits) {
    EXPECT_LE(wait, most);
    most = std::min(most * 2, kMaxBackoff);
    longest = std::max(longest, wait);
  }
  EXPECT_GT(longest, absl::Seconds(1));
}

TEST_F(Retries, NeverOutlastTheBudget) {
  const absl::Time start = clock_.Now();
  std::vector<absl::Duration> left;
  const Status status = Retry(tools_, absl::Seconds(10), [&](absl::Duration rest) -> TryResult {
    left.push_back(rest);
    return {Error(Cause::kKmsThrottled, "x"), absl::Seconds(4)};
  });
  EXPECT_EQ(CauseOf(status), Cause::kKmsThrottled);
  EXPECT_LE(clock_.Now() - start, absl::Seconds(10));
  EXPECT_EQ(left.size(), 3U) << "at 0, 4 and 8 seconds";
  EXPECT_EQ(left[0], absl::Seconds(10));
}

TEST_F(Retries, TellWhatWasAnsweredRatherThanThatTimeRanOut) {
  int calls = 0;
  const Status status = Retry(tools_, absl::Seconds(1), [&](absl::Duration left) -> TryResult {
    if (++calls == 1) return {Error(Cause::kKmsThrottled, "x")};
    clock_.Advance(left);
    return {Error(Cause::kKmsUnreachable, "timed out")};
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(CauseOf(status), Cause::kKmsThrottled);
}

}  // namespace
}  // namespace keyhold::kms
