// The dry run of a key, line by line.
#include "node/key_check.h"

#include <gmock/gmock.h>

#include "tests/node/rig.h"

namespace keyhold::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class KeyCheckTest : public ::testing::Test {
 protected:
  wire::CheckReport Check(const std::string& region = "us-east-1") {
    const auto kms = kms_.Open(*kms::MakeKeySpec("AWS_KMS", kFirstKey, ""));
    return CheckKey(**kms, region, {{"keyhold:store", "s"}}, clock_, crypto::SystemRandom(),
                    absl::Seconds(5));
  }
  static std::vector<std::string> Lines(const wire::CheckReport& report) {
    std::vector<std::string> lines;
    for (const wire::CheckStep& step : report.steps) lines.push_back(step.result + " " + step.name);
    return lines;
  }
  ScriptedKms kms_;
  MovedClock clock_;
};

TEST_F(KeyCheckTest, AGoodKeyPassesAndWhatOnlyItsOwnerSeesIsAWarning) {
  const wire::CheckReport report = Check();
  EXPECT_TRUE(report.usable);
  EXPECT_THAT(Lines(report),
              ElementsAre("PASS reach", "PASS credentials", "PASS kms:Decrypt", "PASS wrap round trip",
                          "WARN deletion protection", "WARN rotation"));
  for (const wire::CheckStep& step : report.steps)
    EXPECT_EQ(step.message.empty(), step.result == "PASS") << step.name;
}

TEST_F(KeyCheckTest, AnotherRegionIsSaidWithoutACall) {
  const wire::CheckReport report = Check("eu-west-1");
  EXPECT_FALSE(report.usable);
  EXPECT_THAT(Lines(report), ElementsAre("FAIL region"));
  EXPECT_EQ(report.steps[0].cause, "KMS_WRONG_KEY");
  EXPECT_EQ(kms_.Calls(kFirstKey), 0U);
}

TEST_F(KeyCheckTest, WhatCannotBeReachedIsNotAskedFurther) {
  for (const Cause cause : {Cause::kKmsUnreachable, Cause::kKmsThrottled}) {
    kms_.Answer(kFirstKey, Error(cause, "nobody there"));
    const wire::CheckReport report = Check();
    EXPECT_FALSE(report.usable);
    EXPECT_THAT(Lines(report), ElementsAre("FAIL reach"));
    EXPECT_EQ(report.steps[0].message, "nobody there");
  }
  kms_.Answer(kFirstKey, Error(Cause::kKmsBadCredentials, "who are you"));
  EXPECT_THAT(Lines(Check()), ElementsAre("PASS reach", "FAIL credentials"));
}

TEST_F(KeyCheckTest, RefusalsAreNamedByWhatTheyAre) {
  const std::vector<std::pair<Cause, std::string>> names = {{Cause::kKmsDenied, "kms:Decrypt"},
                                                            {Cause::kKmsDisabled, "key state"},
                                                            {Cause::kKmsPendingDeletion, "key state"},
                                                            {Cause::kKmsKeyNotFound, "key state"}};
  for (const auto& [cause, name] : names) {
    kms_.Answer(kFirstKey, Error(cause, "what to do"));
    const wire::CheckReport report = Check();
    EXPECT_FALSE(report.usable);
    EXPECT_THAT(Lines(report), ElementsAre("PASS reach", "PASS credentials", "FAIL " + name));
    EXPECT_EQ(report.steps.back().cause, CauseName(cause));
    EXPECT_EQ(report.steps.back().message, "what to do");
  }
}

TEST_F(KeyCheckTest, AKmsThatLiesFails) {
  kms_.Lie(kFirstKey, true);
  const wire::CheckReport report = Check();
  EXPECT_FALSE(report.usable);
  EXPECT_THAT(report.steps[3].message, HasSubstr("does not unwrap what it wrapped"));
  EXPECT_EQ(report.steps[3].cause, "KMS_CORRUPT");
}

}  // namespace
}  // namespace keyhold::node
