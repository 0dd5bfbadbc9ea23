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

TEST_F(RetireTest, VersionsOfAnAwsKeyLiveAndDieWithTheKey) {
  Regions({Region("us-east-1", {Key(kNew, "ENABLED", false), Key(kOld, "DISABLED", true)})});
  ASSERT_EQ(Ccloud({"cmek", "retire-check", "demo", "--key", kOld, "--version", "3"}), 0);
  EXPECT_THAT(Out(), HasSubstr("YES: key " + kOld));
  EXPECT_THAT(Out(), HasSubstr("The versions of an AWS key live and die with the key"));
}

// One key of Google's, rotated from version 1 over 2 to 3.
class RetireVersionTest : public RetireTest {
 protected:
  static json Version(const json& key, const std::string& name, bool free) {
    json info = key;
    info["spec"]["type"] = "GCP_CLOUD_KMS";
    info["version"] = {{"name", name}, {"may_be_destroyed", free}};
    return info;
  }
  // Of a time that is over and proved, though its key is in force.
  static json Past(const std::string& uri, const std::string& name, bool free) {
    json info = Version(Key(uri, "DISABLED", true), name, free);
    info["may_be_destroyed"] = false;
    if (!free) info.erase("evidence");
    return info;
  }
  void Rotated() {
    Regions({Region("us-east1", {Version(Key(kKey, "ENABLED", false), "3", false), Past(kKey, "2", false),
                                 Past(kKey, "1", true)})});
  }
  int CheckVersion(const std::string& version, const std::string& key = kKey) {
    return Ccloud({"cmek", "retire-check", "demo", "--key", key, "--version", version});
  }
  static inline const std::string kKey = "projects/p/locations/us-east1/keyRings/r/cryptoKeys/k";
};

TEST_F(RetireVersionTest, EachVersionHasAnAnswerOfItsOwn) {
  Rotated();
  ASSERT_EQ(CheckVersion("1"), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr("YES: version 1 of key " + kKey + " may be destroyed"));
  EXPECT_THAT(Out(), HasSubstr("a scan of 600 blocks"));
  EXPECT_EQ(CheckVersion("2"), 1);
  EXPECT_THAT(Out(), HasSubstr("NO: version 2 of key"));
  EXPECT_THAT(Out(), HasSubstr("REWRITING, 43.2 %"));
  EXPECT_EQ(CheckVersion("3"), 1);
  EXPECT_THAT(Out(), HasSubstr("it wraps the store key now; rotate to a newer version first"));
  EXPECT_EQ(Check(kKey), 1) << "the key as a whole is in force";
}

TEST_F(RetireVersionTest, AVersionMayBeNamedAsItsCloudDoes) {
  Rotated();
  EXPECT_EQ(CheckVersion(kKey + "/cryptoKeyVersions/1"), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr("version 1 of key"));
}

TEST_F(RetireVersionTest, AVersionThatWasNeverUsedIsNoYes) {
  Rotated();
  EXPECT_EQ(CheckVersion("9"), 1);
  EXPECT_THAT(Err(), HasSubstr("never used version 9 of key " + kKey + "; it used 3, 2, 1"));
  EXPECT_EQ(Out(), "");
}

TEST_F(RetireVersionTest, WhereNoVersionIsToldAnyMayBeNeeded) {
  json now = Key(kKey, "ENABLED", false);
  Regions({Region("us-east1", {now, Past(kKey, "1", true)})});
  EXPECT_EQ(CheckVersion("1"), 1);
  EXPECT_THAT(Out(), HasSubstr("it is not known which version wraps the store key now"));
  json before = Key(kKey, "DISABLED", true);
  before["may_be_destroyed"] = false;
  Regions({Region("us-east1", {Version(now, "2", false), before})});
  EXPECT_EQ(CheckVersion("1"), 1) << "the answer before this one is given once more (fake_api.h)";
  EXPECT_EQ(CheckVersion("1"), 0) << "whichever it was, its time is over: " << Out();
  before.erase("evidence");
  Regions({Region("us-east1", {Version(now, "2", false), before})});
  EXPECT_EQ(CheckVersion("1"), 0);
  EXPECT_EQ(CheckVersion("1"), 1);
}

// A key spec of Azure's may pin a version; the key is the same.
TEST_F(RetireVersionTest, APinnedVersionOfAnAzureKeyIsOneOfTheKey) {
  const std::string key = "https://demo.vault.azure.net/keys/cmek", a(32, 'a'), b(32, 'b');
  Regions({Region("eastus", {Version(Key(key, "ENABLED", false), b, false), Past(key + "/" + a, a, true)})});
  EXPECT_EQ(CheckVersion(a, key), 0) << Err();
  EXPECT_EQ(Check(key + "/" + a), 0) << Err();
  EXPECT_EQ(CheckVersion(b, key), 1);
  EXPECT_EQ(Check(key), 1);
  EXPECT_EQ(CheckVersion(b, key + "/" + a), 1);
  EXPECT_THAT(Err(), HasSubstr("give one of them"));
}

}  // namespace
}  // namespace keyhold::cli
