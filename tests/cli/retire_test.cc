// ccloud cmek retire-check: yes only where everything that is known says so.
#include "tests/cli/fixture.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::string kPath = std::string("/api/v1/clusters/") + kClusterId;
const std::string kOld = "arn:aws:kms:us-east-1:1:key/old", kNew = "arn:aws:kms:us-east-1:1:key/new";

class RetireTest : public CliTest {
 protected:
  RetireTest() {
    api_.AddCluster(TestCluster("demo", "ENABLED"));
    Nodes("LIVE");
  }
  static json Key(const std::string& uri, const std::string& status, bool free) {
    json key = {{"spec", {{"type", "AWS_KMS"}, {"uri", uri}}},
                {"status", status},
                {"created_at", "2026-11-24T09:00:00Z"},
                {"may_be_destroyed", free}};
    if (free) key["evidence"] = {{"proved_at", "2026-11-25T09:00:00Z"}, {"blocks", 600}, {"files", 5}};
    return key;
  }
  static json Region(const std::string& name, const std::vector<json>& keys) {
    return {{"region", name},
            {"status", "ENABLED"},
            {"key_infos", keys},
            {"reencryption", {{"state", "REWRITING"}, {"percent", 43.2}}}};
  }
  void Regions(const std::vector<json>& regions) {
    api_.On("GET " + kPath + "/cmek", {{"status", "ENABLED"}, {"region_infos", regions}});
  }
  void Nodes(const std::string& status) {
    api_.On("GET " + kPath + "/nodes", {{"nodes", {{{"name", "n1"}, {"status", status}}}}});
  }
  int Check(const std::string& key) { return Ccloud({"cmek", "retire-check", "demo", "--key", key}); }
};

TEST_F(RetireTest, YesWithTheEvidenceWhereEveryEntryIsProved) {
  Regions({Region("us-east-1", {Key(kNew, "ENABLED", false), Key(kOld, "DISABLED", true)})});
  ASSERT_EQ(Check(kOld), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr("YES: key " + kOld + " may be destroyed, as far as cluster demo goes"));
  EXPECT_THAT(Out(), HasSubstr("a scan of 600 blocks, 5 files"));
  EXPECT_THAT(Out(), HasSubstr("not needed since: 2026-11-25 09:00:00Z"));
  EXPECT_THAT(Out(), HasSubstr("Copies of a node's directory from before still need the key"));
  EXPECT_TRUE(api_.Changes().empty());
}

TEST_F(RetireTest, TheKeyInForceIsNeeded) {
  Regions({Region("us-east-1", {Key(kNew, "ENABLED", true)})});
  EXPECT_EQ(Check(kNew), 1);
  EXPECT_THAT(Out(), HasSubstr("NO: key " + kNew + " is still needed by cluster demo"));
  EXPECT_THAT(Out(), HasSubstr("it is the key in force"));
  EXPECT_THAT(Err(), HasSubstr("do not destroy it"));
}

TEST_F(RetireTest, OneRegionWithoutAProofIsEnough) {
  const json proved = Region("us-east-1", {Key(kNew, "ENABLED", false), Key(kOld, "DISABLED", true)});
  const json open = Region("eu-west-1", {Key(kNew, "ENABLED", false), Key(kOld, "DISABLED", false)});
  Regions({proved, open});
  ASSERT_EQ(Ccloud({"cmek", "retire-check", "demo", "--key", kOld, "-o", "json"}), 1);
  EXPECT_EQ(Json()["may_be_destroyed"], false);
  EXPECT_EQ(Json()["regions"][0]["needed"], false);
  EXPECT_EQ(Json()["regions"][1]["needed"], true);
  EXPECT_THAT(Json()["regions"][1]["because"].get<std::string>(), HasSubstr("REWRITING, 43.2 %"));
}

// Went back to it: the entry of its first time is proved, that of now is not.
TEST_F(RetireTest, AKeyThatIsInForceAgainIsNeeded) {
  Regions({Region("us-east-1",
                  {Key(kOld, "ENABLED", false), Key(kNew, "DISABLED", true), Key(kOld, "DISABLED", true)})});
  EXPECT_EQ(Check(kOld), 1);
  EXPECT_EQ(Check(kNew), 0);
}

TEST_F(RetireTest, WhatIsNotKnownCountsAsNeeded) {
  json unproved = Key(kOld, "DISABLED", true);
  unproved.erase("evidence");
  Regions({Region("us-east-1", {Key(kNew, "ENABLED", false), unproved})});
  EXPECT_EQ(Check(kOld), 1);
  json silent = Key(kOld, "DISABLED", false);
  silent.erase("may_be_destroyed");
  Regions({json{{"region", "us-east-1"}, {"key_infos", {Key(kNew, "ENABLED", false), silent}}}});
  EXPECT_EQ(Check(kOld), 1);
  EXPECT_EQ(Check(kOld), 1);
  EXPECT_THAT(Out(), HasSubstr("its nodes have not begun to re-encrypt"));
}

TEST_F(RetireTest, ANodeThatDoesNotServeCannotBeAsked) {
  Regions({Region("us-east-1", {Key(kNew, "ENABLED", false), Key(kOld, "DISABLED", true)})});
  Nodes("NOT_READY");
  EXPECT_EQ(Check(kOld), 0) << "it was LIVE then";
  EXPECT_EQ(Check(kOld), 1);
  EXPECT_THAT(Out(), HasSubstr("cannot be asked: n1"));
}

TEST_F(RetireTest, AKeyThatNobodyKnowsIsNoYes) {
  Regions({Region("us-east-1", {Key(kNew, "ENABLED", false), Key(kOld, "DISABLED", true)})});
  EXPECT_EQ(Check(kOld + "x"), 1);
  EXPECT_THAT(Err(), HasSubstr("its keys are " + kNew + ", " + kOld));
  EXPECT_EQ(Out(), "");
  EXPECT_EQ(Ccloud({"cmek", "retire-check", "demo"}), 2);
}

TEST_F(RetireTest, VersionsAreNotToldApartAndThatIsSaid) {
  Regions({Region("us-east-1", {Key(kNew, "ENABLED", false), Key(kOld, "DISABLED", true)})});
  ASSERT_EQ(Ccloud({"cmek", "retire-check", "demo", "--key", kOld, "--version", "3"}), 0);
  EXPECT_THAT(Out(), HasSubstr("Versions of a key are not told apart"));
}

}  // namespace
}  // namespace keyhold::cli
