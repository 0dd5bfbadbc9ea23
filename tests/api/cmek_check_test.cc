// The dry run of a key over HTTP, and what the server remembers of its nodes' past.
#include "tests/api/api_fixture.h"

namespace keyhold::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CmekCheckTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    StartAgent();
  }
  HttpAnswer Check(const std::string& id, const json& body) {
    return Send("POST", "/api/v1/clusters/" + id + "/cmek/check", body);
  }
  static json Step(const HttpAnswer& answer, const std::string& name) {
    for (const json& step : answer.body["regions"][0]["steps"]) {
      if (step["name"] == name) return step;
    }
    ADD_FAILURE() << "no step " << name << ": " << answer.text;
    return json::object();
  }
};

TEST_F(CmekCheckTest, AGoodKeyIsUsableAndNothingChanges) {
  const std::string id = Create("good");
  const json before = Get("/api/v1/clusters/" + id).body;
  const HttpAnswer answer = Check(id, RegionSpecs(kKey1));
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["usable"], true);
  EXPECT_EQ(answer.body["regions"][0]["region"], "us-east-1");
  EXPECT_EQ(answer.body["regions"][0]["key_spec"]["uri"], kKey1);
  EXPECT_EQ(Step(answer, "plan and add-on")["result"], "PASS");
  EXPECT_EQ(Step(answer, "key spec")["result"], "PASS");
  EXPECT_EQ(agent_->checks(), 1) << "it was tried on the node";
  EXPECT_EQ(Get("/api/v1/clusters/" + id).body, before);
}

TEST_F(CmekCheckTest, WhatTheNodeRefusesIsToldInItsWords) {
  json body = RegionSpecs(kKey1);
  body["region_specs"][0]["key_spec"]["auth_principal"] = "arn:aws:iam::111122223333:role/denied";
  const HttpAnswer answer = Check(Create("refused"), body);
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["usable"], false);
}

TEST_F(CmekCheckTest, WhatTheServerKnowsNeedsNoNode) {
  const HttpAnswer basic = Check(Create("basic", "BASIC", false), RegionSpecs(kKey1));
  EXPECT_EQ(basic.body["usable"], false);
  EXPECT_THAT(std::string(Step(basic, "plan and add-on")["message"]), HasSubstr("--plan ADVANCED"));
  const int checks = agent_->checks();
  const HttpAnswer far =
      Check(Create("far"),
            RegionSpecs("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"));
  EXPECT_EQ(far.body["usable"], false);
  EXPECT_EQ(Step(far, "key spec")["cause"], "KMS_WRONG_KEY");
  EXPECT_EQ(agent_->checks(), checks);
}

TEST_F(CmekCheckTest, BadInputIsRefused) {
  const std::string id = Create("bad");
  EXPECT_EQ(Check(id, json::object()).status, 400);
  EXPECT_EQ(Check(id, {{"region_specs", json::array()}}).status, 400);
  json elsewhere = RegionSpecs(kKey1);
  elsewhere["region_specs"][0]["region"] = "eu-west-1";
  EXPECT_EQ(Check(id, elsewhere).status, 400);
  EXPECT_EQ(Check("0e9b8a52-0000-4000-8000-000000000009", RegionSpecs(kKey1)).status, 404);
}

TEST_F(CmekCheckTest, TheServerKeepsTheHighestThatANodeReported) {
  const std::string id = Create("past");
  const auto report = [&](uint64_t epoch, uint64_t generation) {
    agent_->Report(id, [&](wire::NodeStatus& status) {
      status.key_ring_epoch = epoch;
      status.store_generation = generation;
    });
  };
  report(7, 90);
  report(3, 91);
  ASSERT_EQ(Send("POST", "/api/v1/clusters/" + id + "/cmek", RegionSpecs(kKey1)).status, 200);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!agent_->Desired(id).cmek && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(agent_->Desired(id).min_key_ring_epoch, 7U);
  EXPECT_EQ(agent_->Desired(id).min_store_generation, 91U);
}

}  // namespace
}  // namespace keyhold::api
