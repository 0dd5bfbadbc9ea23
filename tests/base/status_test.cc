#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace keyhold {
namespace {

TEST(Status, EveryCauseSurvivesItsNameAndAnnotation) {
  for (int i = 0; i <= static_cast<int>(Cause::kKmsCorrupt); ++i) {
    const auto cause = static_cast<Cause>(i);
    EXPECT_EQ(CauseFromName(CauseName(cause)), cause);
    const Status status = Annotate(Error(cause, "inner"), "outer");
    EXPECT_EQ(CauseOf(status), cause);
    EXPECT_EQ(status.message(), "outer: inner");
    EXPECT_FALSE(status.ok());
  }
}

TEST(Status, ErrnoIsKept) {
  const Status status = Annotate(ErrnoError(ENOENT, "opening x"), "outer");
  EXPECT_EQ(ErrnoOf(status), ENOENT);
  EXPECT_EQ(CauseOf(status), Cause::kIo);
  EXPECT_EQ(CauseOf(ErrnoError(ENOSPC, "writing x")), Cause::kResourceExhausted);
}

TEST(Status, ForeignStatusIsInternal) {
  EXPECT_EQ(CauseOf(absl::UnknownError("?")), Cause::kInternal);
  EXPECT_EQ(ErrnoOf(absl::UnknownError("?")), 0);
}

TEST(Status, OnlyTheFourMeanRevocation) {
  int revoking = 0;
  for (int i = 0; i <= static_cast<int>(Cause::kKmsCorrupt); ++i)
    revoking += IsRevocation(static_cast<Cause>(i));
  EXPECT_EQ(revoking, 4);
}

StatusOr<int> Half(int n) {
  if (n % 2 != 0) return Error(Cause::kInvalidArgument, "odd");
  return n / 2;
}

StatusOr<int> Quarter(int n) {
  KEYHOLD_ASSIGN_OR_RETURN(const int half, Half(n));
  KEYHOLD_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

TEST(Status, MacrosPassValuesAndErrors) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(CauseOf(Quarter(6).status()), Cause::kInvalidArgument);
}

}  // namespace
}  // namespace keyhold
