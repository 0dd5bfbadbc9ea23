#include "base/failed_checks.h"

#include <gtest/gtest.h>

namespace keyhold {
namespace {

TEST(FailedChecks, OneIsToldWithItsName) {
  const Status status = FailedChecks({{"region", Cause::kKmsWrongKey, "it is elsewhere"}});
  EXPECT_EQ(CauseOf(status), Cause::kKmsWrongKey);
  EXPECT_EQ(status.message(), "region: it is elsewhere");
}

TEST(FailedChecks, OfSeveralOnlyTheFirstSaysWhatToDo) {
  const Status status = FailedChecks({{"kms:Encrypt", Cause::kKmsDenied, "denied; grant it: {...}"},
                                      {"kms:Decrypt", Cause::kKmsDisabled, "denied; grant it: {...}"}});
  EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
  EXPECT_EQ(status.message(), "kms:Encrypt, kms:Decrypt: denied; grant it: {...}");
}

}  // namespace
}  // namespace keyhold
