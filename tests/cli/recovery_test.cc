// ccloud cluster cmek recovery: what goes to files, what goes to the server, and what is left when it fails.
#include <sys/stat.h>

#include <filesystem>

#include "recovery/recovery_key.h"
#include "tests/cli/fixture.h"

namespace keyhold::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kPath = std::string("/api/v1/clusters/") + kClusterId + "/cmek/recovery";

json Recovery(bool key, bool in_force) {
  json recovery = {{"regions", {{{"region", "us-east-1"}, {"in_force", in_force}}}}};
  if (in_force) recovery["regions"][0]["sealed_to"] = std::string(64, 'a');
  if (key) {
    recovery["key"] = {{"id", std::string(64, 'a')},
                       {"threshold", 2},
                       {"shares", 3},
                       {"created_at", "2026-03-01T10:00:00Z"}};
  }
  return recovery;
}

class RecoveryTest : public CliTest {
 protected:
  RecoveryTest() { api_.AddCluster(TestCluster("demo", "ENABLED")); }

  std::string File(const std::string& name) const { return dir_.File(name); }
  int Create(const std::vector<std::string>& more = {}, const std::string& threshold = "2") {
    std::vector<std::string> words = {"cluster",     "cmek",    "recovery",        "create",    "demo",
                                      "--threshold", threshold, "--recovery-file", File("file")};
    for (const char* name : {"one", "two", "three"}) words.insert(words.end(), {"--share-to", File(name)});
    words.insert(words.end(), more.begin(), more.end());
    return Ccloud(words);
  }
  size_t Files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir_.path()), {}));
  }
  recovery::ShareText Share(const std::string& name) const {
    return {name, crypto::SecretBytes::CopyOf(crypto::AsBytes(testing::ReadFile(File(name))))};
  }

  testing::TempDir dir_;
};

TEST_F(RecoveryTest, TheServerGetsThePublicKeyAndPeopleTheRest) {
  api_.On("GET " + kPath, Recovery(false, false));
  api_.On("GET " + kPath, Recovery(true, false));
  api_.On("GET " + kPath, Recovery(true, true));
  api_.On("PUT " + kPath, Recovery(true, false));
  ASSERT_EQ(Create(), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr("Recovery Key: 2 of 3 shares open the stores"));
  EXPECT_THAT(Out(), Not(HasSubstr("not yet in force")));
  EXPECT_THAT(Err(), HasSubstr("Give each share to another person"));
  const json body = api_.Changes().at(0).body;
  EXPECT_EQ(body.size(), 3U);
  EXPECT_EQ(body["threshold"], 2);
  EXPECT_EQ(body["shares"], 3);
  for (const char* name : {"file", "one", "two", "three"}) {
    struct stat found;
    ASSERT_EQ(stat(File(name).c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, 0600U);
  }
  const auto file = recovery::ParseFile(testing::ReadFile(File("file")));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->header.cluster_id, kClusterId);
  std::vector<recovery::ShareText> shares;
  shares.push_back(Share("three"));
  shares.push_back(Share("one"));
  const auto key = recovery::OpenRecoveryKey(*file, shares);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->PublicPem(), body["public_key"]);
  const std::string secret =
      Share("one").text.Clone().ExposeText().empty() ? "" : testing::ReadFile(File("one"));
  for (const Seen& seen : api_.All()) {
    EXPECT_THAT(seen.body.dump(), Not(HasSubstr("secret")));
    EXPECT_THAT(seen.body.dump(), Not(HasSubstr("PRIVATE")));
  }
  const size_t at = secret.find("secret: ") + 8;
  EXPECT_THAT(Out() + Err(), Not(HasSubstr(secret.substr(at, 64))));
}

TEST_F(RecoveryTest, NothingIsLeftWhenTheServerRefuses) {
  api_.On("GET " + kPath, Recovery(false, false));
  api_.On("PUT " + kPath, {{"code", 9}, {"message", "no"}}, 400);
  EXPECT_EQ(Create(), 1);
  EXPECT_EQ(Files(), 0U);
}

TEST_F(RecoveryTest, AFileIsNeverWrittenOver) {
  api_.On("GET " + kPath, Recovery(false, false));
  testing::WriteFile(File("two"), "mine");
  EXPECT_EQ(Create(), 1);
  EXPECT_THAT(Err(), HasSubstr("/two is there already"));
  EXPECT_EQ(testing::ReadFile(File("two")), "mine");
  EXPECT_EQ(Files(), 1U) << "and the others are gone again";
  EXPECT_TRUE(api_.Changes().empty());
}

TEST_F(RecoveryTest, AnotherOneTakesReplace) {
  api_.On("GET " + kPath, Recovery(true, true));
  api_.On("PUT " + kPath, Recovery(true, true));
  EXPECT_EQ(Create(), 1);
  EXPECT_THAT(Err(), HasSubstr("has a recovery key already"));
  EXPECT_EQ(Files(), 0U);
  EXPECT_EQ(Create({"--replace"}), 0) << Err();
}

TEST_F(RecoveryTest, ImpossibleThresholdsAreRefusedBeforeAnythingIsMade) {
  api_.On("GET " + kPath, Recovery(false, false));
  for (const char* threshold : {"1", "4", "x", "-2"}) {
    EXPECT_NE(Create({}, threshold), 0) << threshold;
    EXPECT_EQ(Files(), 0U);
  }
  EXPECT_TRUE(api_.Changes().empty());
}

TEST_F(CliTest, TheUseOfARecoveryKeyIsShownWhereverOneLooks) {
  json cluster = TestCluster("demo", "ENABLED");
  json recovery = Recovery(true, true);
  recovery["regions"][0]["used_at"] = "2026-03-02T11:00:00.000Z";
  cluster["cmek_config"]["recovery"] = recovery;
  cluster["warning"] = {{"cause", "RECOVERY_USED"},
                        {"message", "the recovery key was used"},
                        {"since", "2026-03-02T11:00:00Z"}};
  api_.AddCluster(cluster);
  api_.On("GET " + kPath, recovery);
  const auto contains = HasSubstr("USED in us-east-1 at 2026-03-02 11:00:00Z, without the KMS");
  EXPECT_EQ(Ccloud({"cluster", "cmek", "recovery", "get", "demo"}), 0);
  EXPECT_THAT(Out(), contains);
  EXPECT_EQ(Ccloud({"cluster", "info", "demo"}), 0);
  EXPECT_THAT(Out(), contains);
  EXPECT_THAT(Out(), HasSubstr("Warning: the recovery key was used"));
  EXPECT_THAT(Out(), HasSubstr("what to do: make another recovery key"));
}

TEST_F(RecoveryTest, DeletingHasTheNameTyped) {
  api_.On("DELETE " + kPath, Recovery(false, true));
  api_.On("GET " + kPath, Recovery(false, false));
  EXPECT_EQ(Ccloud({"cluster", "cmek", "recovery", "delete", "demo"}, "other\n"), 1);
  EXPECT_TRUE(api_.Changes().empty());
  EXPECT_EQ(Ccloud({"cluster", "cmek", "recovery", "delete", "demo"}, "demo\n"), 0) << Err();
  EXPECT_THAT(Out(), HasSubstr("Recovery Key: none"));
  EXPECT_EQ(Ccloud({"cluster", "cmek", "recovery", "delete", "demo", "--yes", "-o", "json"}), 0) << Err();
  EXPECT_FALSE(Json().contains("key"));
}

}  // namespace
}  // namespace keyhold::cli
