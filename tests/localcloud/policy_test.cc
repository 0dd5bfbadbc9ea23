// What one policy says about one request, and which documents are no policies.
#include "localcloud/aws/policy.h"

#include <gtest/gtest.h>

#include "localcloud/aws/error.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kKey[] = "arn:aws:kms:us-east-1:111111111111:key/k";

Decision Decide(const std::string& statement, const std::string& action = "kms:Encrypt",
                const ConditionContext& context = {}) {
  auto policy =
      Policy::Parse(R"({"Version":"2012-10-17","Statement":[)" + statement + "]}", PolicyKind::kKey);
  EXPECT_TRUE(policy.ok()) << policy.status();
  Principal caller{"222222222222",
                   "arn:aws:sts::222222222222:assumed-role/r/s",
                   "arn:aws:iam::222222222222:role/r",
                   "AROA:s",
                   {}};
  return policy.ok() ? policy->Evaluate({caller, action, kKey, context}) : Decision::kNothing;
}

std::string Allow(const std::string& principal,
                  const std::string& rest = R"("Action":"kms:*","Resource":"*")") {
  return R"({"Effect":"Allow","Principal":)" + principal + "," + rest + "}";
}

TEST(PolicyTest, Principals) {
  struct Case {
    const char* principal;
    Decision decision;
  };
  for (const Case& c :
       {Case{R"("*")", Decision::kAllow}, Case{R"({"AWS":"*"})", Decision::kAllow},
        Case{R"({"AWS":"222222222222"})", Decision::kAllowAccount},
        Case{R"({"AWS":"arn:aws:iam::222222222222:root"})", Decision::kAllowAccount},
        Case{R"({"AWS":"arn:aws:iam::222222222222:role/r"})", Decision::kAllow},
        Case{R"({"AWS":"arn:aws:sts::222222222222:assumed-role/r/s"})", Decision::kAllow},
        Case{R"({"AWS":"arn:aws:sts::222222222222:assumed-role/r/t"})", Decision::kNothing},
        Case{R"({"AWS":["333333333333","arn:aws:iam::222222222222:role/q"]})", Decision::kNothing},
        Case{R"({"Service":"s3.amazonaws.com"})", Decision::kNothing}}) {
    EXPECT_EQ(Decide(Allow(c.principal)), c.decision) << c.principal;
  }
}

TEST(PolicyTest, ActionsAndResources) {
  struct Case {
    const char* rest;
    Decision decision;
  };
  for (const Case& c :
       {Case{R"("Action":"kms:Encrypt","Resource":"*")", Decision::kAllow},
        Case{R"("Action":"KMS:enc*","Resource":"*")", Decision::kAllow},
        Case{R"("Action":["kms:Decrypt","kms:Describe?ey"],"Resource":"*")", Decision::kNothing},
        Case{R"("NotAction":"kms:Decrypt","Resource":"*")", Decision::kAllow},
        Case{R"("NotAction":"kms:E*","Resource":"*")", Decision::kNothing},
        Case{R"("Action":"kms:*","Resource":"arn:aws:kms:*:111111111111:key/*")", Decision::kAllow},
        Case{R"("Action":"kms:*","Resource":"arn:aws:kms:*:222222222222:key/*")", Decision::kNothing},
        Case{R"("Action":"kms:*","NotResource":"*")", Decision::kNothing}}) {
    EXPECT_EQ(Decide(Allow(R"("*")", c.rest)), c.decision) << c.rest;
  }
}

TEST(PolicyTest, AnExplicitDenyWinsInAnyOrder) {
  std::string deny = R"({"Effect":"Deny","Principal":"*","Action":"kms:Encrypt","Resource":"*"})";
  EXPECT_EQ(Decide(Allow(R"("*")") + "," + deny), Decision::kDeny);
  EXPECT_EQ(Decide(deny + "," + Allow(R"("*")")), Decision::kDeny);
  EXPECT_EQ(Decide(deny + "," + Allow(R"("*")"), "kms:Decrypt"), Decision::kAllow);
}

TEST(PolicyTest, Conditions) {
  ConditionContext context = {{"kms:encryptioncontext:cluster", {"c1"}},
                              {"aws:sourceip", {"127.0.0.1"}},
                              {"aws:securetransport", {"true"}},
                              {"kms:encryptioncontextkeys", {"cluster", "x"}},
                              {"n", {"7"}},
                              {"t", {"2026-01-01T00:00:00Z"}}};
  const std::pair<const char*, bool> cases[] = {
      {R"({"StringEquals":{"kms:EncryptionContext:Cluster":"c1"}})", true},
      {R"({"StringEquals":{"kms:EncryptionContext:cluster":["c0","c1"]}})", true},
      {R"({"StringEquals":{"kms:EncryptionContext:cluster":"c2"}})", false},
      {R"({"StringNotEquals":{"kms:EncryptionContext:cluster":"c2"}})", true},
      {R"({"StringLike":{"kms:EncryptionContext:cluster":"c?"}})", true},
      {R"({"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}})", false},
      {R"({"StringEqualsIfExists":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}})", true},
      {R"({"Null":{"kms:ViaService":"true"}})", true},
      {R"({"Null":{"kms:ViaService":"false"}})", false},
      {R"({"Bool":{"aws:SecureTransport":"true"}})", true},
      {R"({"Bool":{"aws:SecureTransport":false}})", false},
      {R"({"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}})", true},
      {R"({"NotIpAddress":{"aws:SourceIp":"127.0.0.0/8"}})", false},
      {R"({"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})", false},
      {R"({"ForAnyValue:StringEquals":{"kms:EncryptionContextKeys":"x"}})", true},
      {R"({"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":"x"}})", false},
      {R"({"NumericLessThan":{"n":8}})", true},
      {R"({"NumericGreaterThanEquals":{"n":"8"}})", false},
      {R"({"DateLessThan":{"t":"2026-06-01T00:00:00Z"}})", true},
      {R"({"StringEquals":{"kms:EncryptionContext:cluster":"c1"},"Bool":{"aws:SecureTransport":"false"}})",
       false},
  };
  for (const auto& [condition, holds] : cases) {
    std::string rest = R"("Action":"kms:*","Resource":"*","Condition":)" + std::string(condition);
    EXPECT_EQ(Decide(Allow(R"("*")", rest), "kms:Encrypt", context),
              holds ? Decision::kAllow : Decision::kNothing)
        << condition;
  }
}

TEST(PolicyTest, WhatIsNoPolicyIsRefused) {
  for (
      const std::string& text : std::vector<std::string>{
          std::string(), std::string("{"), std::string("[]"), std::string(R"({"Version":"2012-10-17"})"),
          std::string(R"({"Version":"2012-10-17","Statement":[]})"),
          R"({"Version":"2013-10-17","Statement":[)" + Allow(R"("*")") + "]}",
          R"({"Version":"2012-10-17","Extra":1,"Statement":[)" + Allow(R"("*")") + "]}",
          R"({"Statement":[{"Effect":"Maybe","Principal":"*","Action":"*","Resource":"*"}]})",
          R"({"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})",
          R"({"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","NotAction":"*","Resource":"*"}]})",
          R"({"Statement":[)" + Allow(R"("*")", R"("Action":7,"Resource":"*")") + "]}",
          R"({"Statement":[)" + Allow(R"({"AWS":"nobody"})") + "]}",
          R"({"Statement":[)" + Allow(R"({"AWS":"arn:aws:iam::222222222222:user/*"})") + "]}",
          R"({"Statement":[)" +
              Allow(R"("*")", R"("Action":"*","Resource":"*","Condition":{"Sometimes":{"a":"b"}})") + "]}",
          std::string(1000, '[') + std::string(1000, ']')}) {
    auto policy = Policy::Parse(text, PolicyKind::kKey);
    EXPECT_EQ(AwsErrorType(policy.status()), "MalformedPolicyDocumentException") << text.substr(0, 200);
  }
}

TEST(PolicyTest, WildcardsTakeNoExponentialTime) {
  std::string pattern, text(4000, 'a');
  for (int i = 0; i < 1000; i++) pattern += "a*";
  EXPECT_FALSE(WildcardMatch(pattern + "b", text));
  EXPECT_TRUE(WildcardMatch(pattern, text));
}

}  // namespace
}  // namespace keyhold::localcloud::aws
