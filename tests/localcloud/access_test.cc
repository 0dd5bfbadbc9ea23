// Who may do what: key policies across accounts, roles and their sessions.
#include "absl/strings/str_cat.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {
namespace {

const Json kPlaintext = "eA==";

class AccessTest : public testing::Test {
 protected:
  Answer Encrypt(const AwsClient& client, const std::string& key, const Json& context = Json::object()) {
    return client.Kms("Encrypt", {{"KeyId", key}, {"Plaintext", kPlaintext}, {"EncryptionContext", context}});
  }
  Json Statement(const Json& action, const Json& condition = nullptr) {
    Json statement = {{"Effect", "Allow"},
                      {"Principal", {{"AWS", cloud.platform_arn()}}},
                      {"Action", action},
                      {"Resource", "*"}};
    if (!condition.is_null()) statement["Condition"] = condition;
    return statement;
  }
  TestCloud cloud;
};

TEST_F(AccessTest, ThePlatformMayDoWhatTheKeysPolicySays) {
  std::string key = cloud.NewKey();
  Answer denied = Encrypt(cloud.Platform(), key);
  EXPECT_EQ(denied.type, "AccessDeniedException");
  EXPECT_EQ(denied.message, absl::StrCat("User: ", cloud.platform_arn(),
                                         " is not authorized to perform: kms:Encrypt on resource: ", key,
                                         " because no resource-based policy allows the kms:Encrypt action"));
  ASSERT_TRUE(cloud.Grant(key, Statement({"kms:Encrypt", "kms:DescribeKey"})).ok());
  EXPECT_TRUE(Encrypt(cloud.Platform(), key).ok());
  EXPECT_TRUE(cloud.Platform().Kms("DescribeKey", {{"KeyId", key}}).ok());
  EXPECT_EQ(cloud.Platform().Kms("GenerateDataKey", {{"KeyId", key}, {"KeySpec", "AES_256"}}).type,
            "AccessDeniedException");
}

TEST_F(AccessTest, AConditionOnTheEncryptionContextHolds) {
  std::string key = cloud.NewKey();
  ASSERT_TRUE(
      cloud
          .Grant(key, Statement("kms:Encrypt", {{"StringEquals", {{"kms:EncryptionContext:cluster", "c1"}}}}))
          .ok());
  EXPECT_TRUE(Encrypt(cloud.Platform(), key, {{"cluster", "c1"}}).ok());
  EXPECT_EQ(Encrypt(cloud.Platform(), key, {{"cluster", "c2"}}).type, "AccessDeniedException");
  EXPECT_EQ(Encrypt(cloud.Platform(), key).type, "AccessDeniedException");
}

TEST_F(AccessTest, APolicyThatLocksItsAuthorOutOrNamesNobodyIsRefused) {
  std::string key = cloud.NewKey();
  Json policy = {{"Version", "2012-10-17"}, {"Statement", {Statement("kms:*")}}};
  Json in = {{"KeyId", key}, {"Policy", policy.dump()}};
  Answer refused = cloud.Customer().Kms("PutKeyPolicy", in);
  EXPECT_EQ(refused.type, "MalformedPolicyDocumentException");
  EXPECT_EQ(refused.message, "The new key policy will not allow you to update the key policy in the future.");
  EXPECT_EQ(Encrypt(cloud.Platform(), key).type, "AccessDeniedException");
  Json nobody = Statement("kms:*");
  nobody["Principal"]["AWS"] = "arn:aws:iam::" + cloud.customer_account() + ":user/nobody";
  EXPECT_EQ(cloud.Grant(key, nobody).message,
            "Policy contains a statement with one or more invalid principals.");
  in["BypassPolicyLockoutSafetyCheck"] = true;
  EXPECT_TRUE(cloud.Customer().Kms("PutKeyPolicy", in).ok());
  EXPECT_EQ(Encrypt(cloud.Customer(), key).type, "AccessDeniedException");
  EXPECT_TRUE(Encrypt(cloud.Platform(), key).ok());
}

TEST_F(AccessTest, AStrangerIsNotToldWhatExists) {
  std::string missing =
      "arn:aws:kms:us-east-1:" + cloud.customer_account() + ":key/12345678-1234-1234-1234-123456789012";
  EXPECT_EQ(cloud.Platform().Kms("DescribeKey", {{"KeyId", missing}}).type, "AccessDeniedException");
  EXPECT_EQ(cloud.Customer().Kms("DescribeKey", {{"KeyId", missing}}).type, "NotFoundException");
}

TEST_F(AccessTest, AnAssumedRoleWorksUntilItsSessionEnds) {
  Json trust = {{"Version", "2012-10-17"},
                {"Statement",
                 {{{"Effect", "Allow"},
                   {"Principal", {{"AWS", cloud.platform_arn()}}},
                   {"Action", "sts:AssumeRole"},
                   {"Condition", {{"StringEquals", {{"sts:ExternalId", "org"}}}}}}}}};
  Json rights = {{"Version", "2012-10-17"},
                 {"Statement", {{{"Effect", "Allow"}, {"Action", "kms:Encrypt"}, {"Resource", "*"}}}}};
  AwsClient customer = cloud.Customer();
  ASSERT_TRUE(
      customer.Iam("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", trust.dump()}}).ok());
  ASSERT_TRUE(
      customer
          .Iam("PutRolePolicy", {{"RoleName", "r"}, {"PolicyName", "p"}, {"PolicyDocument", rights.dump()}})
          .ok());
  std::string arn = "arn:aws:iam::" + cloud.customer_account() + ":role/r";
  AwsClient::Form form = {{"RoleArn", arn}, {"RoleSessionName", "s1"}, {"DurationSeconds", "900"}};
  EXPECT_EQ(cloud.Platform().Sts("AssumeRole", form).type, "AccessDenied");
  form["ExternalId"] = "org";
  Answer assumed = cloud.Platform().Sts("AssumeRole", form, "sts.us-east-1.amazonaws.com");
  ASSERT_TRUE(assumed.ok()) << assumed.text;
  AwsCredentials credentials = {XmlValue(assumed.text, "AccessKeyId"),
                                XmlValue(assumed.text, "SecretAccessKey"),
                                XmlValue(assumed.text, "SessionToken")};
  std::string key = cloud.NewKey();
  EXPECT_TRUE(Encrypt(cloud.With(credentials), key).ok());
  EXPECT_EQ(cloud.With(credentials).Kms("DisableKey", {{"KeyId", key}}).type, "AccessDeniedException");
  AwsCredentials forged = credentials;
  forged.session_token[10] = forged.session_token[10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(Encrypt(cloud.With(forged), key).type, "UnrecognizedClientException");
  cloud.clock().Advance(absl::Seconds(900));
  EXPECT_EQ(Encrypt(cloud.With(credentials), key).type, "ExpiredTokenException");
  EXPECT_EQ(customer.Iam("DeleteRole", {{"RoleName", "r"}}).type, "DeleteConflict");
  ASSERT_TRUE(customer.Iam("DeleteRolePolicy", {{"RoleName", "r"}, {"PolicyName", "p"}}).ok());
  ASSERT_TRUE(customer.Iam("DeleteRole", {{"RoleName", "r"}}).ok());
  EXPECT_EQ(customer.Iam("GetRole", {{"RoleName", "r"}}).type, "NoSuchEntity");
}

TEST_F(AccessTest, UnknownCredentialsAreRefusedInEachServicesWords) {
  AwsClient unknown = cloud.With({"AKIAUNKNOWN", "secret", ""});
  EXPECT_EQ(unknown.Kms("ListKeys", Json::object()).type, "UnrecognizedClientException");
  Answer sts = unknown.Sts("GetCallerIdentity", {});
  EXPECT_EQ(sts.status, 403);
  EXPECT_EQ(sts.type, "InvalidClientTokenId");
}

}  // namespace
}  // namespace keyhold::localcloud
