#include <fstream>

#include "cli/command.h"
#include "cli/completion.h"
#include "cli/key_spec.h"
#include "tests/cli/fixture.h"

namespace keyhold::cli {
namespace {

using ::testing::HasSubstr;

struct BadSpec {
  const char* name;
  std::string text;
  const char* says;
};

class KeySpecTest : public CliTest, public ::testing::WithParamInterface<BadSpec> {};

// Wrong on this side: exit 2, one line, and not one request.
TEST_P(KeySpecTest, IsRefusedBeforeAnythingIsSent) {
  std::ofstream(config_.File("spec")) << GetParam().text;
  EXPECT_EQ(Ccloud({"cluster", "update", "demo", "--cmek-key-spec", "@" + config_.File("spec")}), 2);
  EXPECT_THAT(Err(), HasSubstr(GetParam().says));
  EXPECT_EQ(ErrLines(), 1);
  EXPECT_EQ(Out(), "");
  EXPECT_TRUE(api_.All().empty());
}

INSTANTIATE_TEST_SUITE_P(
    Bad, KeySpecTest,
    ::testing::Values(
        BadSpec{"CutShort", R"({"type":"AWS_KMS","uri":"arn)", "it breaks at byte"},
        BadSpec{"Empty", "", "it breaks at byte"},
        BadSpec{"TenMegabytes", "{\"a\":\"" + std::string(10u << 20, 'x') + "\"}", "larger than 1 MiB"},
        BadSpec{"DeeplyNested", "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
                "nested deeper than 32"},
        BadSpec{"AnArray", "[]", "not a JSON object"}, BadSpec{"AString", "\"arn\"", "not a JSON object"},
        BadSpec{"ControlCharacters", std::string("{\"a\":\"\x1b[2J\"}"), "it breaks at byte"},
        BadSpec{"TwoValues", "{} {}", "it breaks at byte"},
        BadSpec{"HugeNumber", R"({"uri":1e999})", "out of range"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(CliTest, AMissingSpecFileIsNamed) {
  EXPECT_EQ(Ccloud({"cluster", "update", "demo", "--cmek-key-spec", "@/nowhere"}), 2);
  EXPECT_THAT(Err(), HasSubstr("cannot read /nowhere"));
}

TEST_F(CliTest, RegionSpecsGoAsTheyAre) {
  const auto body = ParseKeySpec(R"({"region_specs":[{"region":"a"}]})", {"us-east-1"});
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(body->dump(), R"({"region_specs":[{"region":"a"}]})");
}

struct Wrong {
  std::vector<std::string> arguments;
  const char* says;
};

TEST_F(CliTest, AWrongCommandLineExitsTwoAndNamesHelp) {
  const std::vector<Wrong> all = {
      {{}, "--help"},
      {{"clutser"}, "--help"},
      {{"cluster", "info"}, "NAME"},
      {{"cluster", "info", "demo", "extra"}, "extra"},
      {{"cluster", "list", "-o", "yaml"}, "yaml"},
      {{"cluster", "create", "ADVANCED", "x", "us-east-1", "--cloud", "aws"}, "--cloud"},
      {{"cluster", "create", "GOLD", "x", "us-east-1"}, "the plan must be"},
      {{"cluster", "create", "ADVANCED", "x", "us-east-1:zero"}, "REGION:NODES"},
      {{"cluster", "create", "ADVANCED", "x", "us-east-1", "--vcpus", "-1"}, "--vcpus"},
      {{"cluster", "update", "demo"}, "nothing to update"},
      {{"cluster", "cmek", "enable", "demo"}, "--cmek-key-spec"},
      {{"cluster", "networking", "allowlist", "create", "demo", "1.2.3.4/x"}, "not a network"},
      {{"audit", "list", "--limit", "many"}, "--limit"},
  };
  for (const Wrong& wrong : all) {
    EXPECT_EQ(Ccloud(wrong.arguments), 2) << Err();
    EXPECT_THAT(Err(), HasSubstr(wrong.says));
    EXPECT_EQ(ErrLines(), 1) << Err();
  }
  EXPECT_TRUE(api_.All().empty());
}

TEST_F(CliTest, NamesThatArePathsOrShellReachTheServerEncoded) {
  api_.AddCluster(TestCluster());
  const std::string path = std::string("/api/v1/clusters/") + kClusterId + "/sql-users/";
  EXPECT_EQ(Ccloud({"cluster", "user", "delete", "demo", "../../x?y#z;$(id)"}), 1);
  EXPECT_EQ(api_.Changes().front().target, path + "..%2F..%2Fx%3Fy%23z%3B%24%28id%29");
}

TEST_F(CliTest, ServersThatWouldShowTheKeyToTheNetworkAreRefused) {
  for (const char* server : {"http://example.com", "ftp://x", "https://", "https://host/path",
                             "http://127.0.0.1:x", "http://127.0.0.1@evil.com"}) {
    server_ = server;
    EXPECT_EQ(Ccloud({"cluster", "list"}), 2) << server;
  }
}

TEST_F(CliTest, NoServerThereIsToldWithTheNextStep) {
  server_ = "http://127.0.0.1:1";
  EXPECT_EQ(Ccloud({"-q", "cluster", "list"}), 1);
  EXPECT_THAT(Err(), HasSubstr("cannot reach the server at http://127.0.0.1:1"));
  EXPECT_THAT(Err(), HasSubstr("keyhold start"));
}

TEST_F(CliTest, AnswersThatAreNotTheApisAreRefused) {
  api_.OnText("GET /api/v1/organization", "<html>");
  EXPECT_EQ(Ccloud({"organization", "get"}), 1);
  EXPECT_THAT(Err(), HasSubstr("does not answer in JSON"));
  api_.On("GET /api/v1/cluster-versions", {{"other", 1}});
  EXPECT_EQ(Ccloud({"cluster", "versions"}), 1);
  EXPECT_THAT(Err(), HasSubstr("has no list"));
}

TEST_F(CliTest, EveryCommandHasHelpWithAnExample) {
  for (const Command& command : AllCommands()) {
    std::vector<std::string> words;
    std::istringstream path(command.path);
    for (std::string word; path >> word;) words.push_back(word);
    words.push_back("--help");
    ASSERT_EQ(Ccloud(words), 0) << command.path;
    EXPECT_THAT(Out(), HasSubstr(command.summary));
    EXPECT_THAT(Out(), HasSubstr("Examples:\n  "));
    EXPECT_THAT(Out(), HasSubstr("ccloud " + command.path));
  }
}

// Sources the script in bash, and asks for what may follow a line.
std::string Completed(const std::string& script, const std::string& words, int current) {
  const std::string command = "bash -c 'set -e; source " + script + "; COMP_WORDS=(" + words +
                              "); COMP_CWORD=" + std::to_string(current) + "; _ccloud; echo ${COMPREPLY[*]}'";
  FILE* pipe = popen(command.c_str(), "r");
  char answer[4096] = {};
  const size_t size = fread(answer, 1, sizeof(answer) - 1, pipe);
  EXPECT_EQ(pclose(pipe), 0);
  return std::string(answer, size);
}

TEST_F(CliTest, BashCompletesCommandsAndOptions) {
  const std::string script = config_.File("completion");
  std::ofstream(script) << BashCompletion();
  EXPECT_EQ(Completed(script, "ccloud cluster cm", 2), "cmek\n");
  EXPECT_EQ(Completed(script, "ccloud cluster cmek \"\"", 3), "enable get policy recovery revoke rotate\n");
  EXPECT_EQ(Completed(script, "ccloud cluster update demo --cm", 4), "--cmek-key-spec\n");
}

}  // namespace
}  // namespace keyhold::cli
