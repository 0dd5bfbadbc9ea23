#include "kms/key_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kms/aws/arn.h"

namespace keyhold::kms {
namespace {

using ::testing::HasSubstr;

constexpr char kKey[] = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
constexpr char kRole[] = "arn:aws:iam::111122223333:role/keyhold";

std::string Spec(const std::string& uri, const std::string& principal = kRole) {
  return nlohmann::json{{"type", "AWS_KMS"}, {"uri", uri}, {"auth_principal", principal}}.dump();
}

TEST(KeySpec, AcceptsWhatAwsGivesOut) {
  for (const std::string uri : {
           kKey,
           "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
       }) {
    const auto spec = ParseKeySpec(Spec(uri));
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(spec->type, KeyType::kAwsKms);
    EXPECT_EQ(spec->uri, uri);
    EXPECT_EQ(spec->auth_principal, kRole);
    EXPECT_EQ(*ParseKeySpec(ToJson(*spec).dump()), *spec);
  }
}

TEST(KeySpec, AcceptsOtherPartitions) {
  EXPECT_TRUE(
      ParseKeySpec(Spec("arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                        "arn:aws-cn:iam::111122223333:role/a/b/keyhold"))
          .ok());
  EXPECT_TRUE(
      ParseKeySpec(
          Spec("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", ""))
          .ok());
}

TEST(KeySpec, AuthPrincipalMayBeLeftOut) {
  const auto spec = ParseKeySpec(nlohmann::json{{"type", "AWS_KMS"}, {"uri", kKey}}.dump());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->auth_principal, "");
  EXPECT_FALSE(ToJson(*spec).contains("auth_principal"));
}

struct Bad {
  const char* name;
  std::string text;
  const char* says;
  Cause cause = Cause::kInvalidArgument;
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class BadKeySpec : public ::testing::TestWithParam<Bad> {};

TEST_P(BadKeySpec, IsRefusedWithAReason) {
  const auto spec = ParseKeySpec(GetParam().text);
  ASSERT_FALSE(spec.ok());
  EXPECT_EQ(CauseOf(spec.status()), GetParam().cause);
  EXPECT_THAT(std::string(spec.status().message()), HasSubstr(GetParam().says));
  EXPECT_LT(spec.status().message().size(), 1000U) << "hostile input does not flood the output";
}

const std::string kArn = "arn:aws:kms:us-east-1:111122223333:";
const std::string kId = "key/1234abcd-12ab-34cd-56ef-1234567890ab";

INSTANTIATE_TEST_SUITE_P(
    All, BadKeySpec,
    ::testing::Values(
        Bad{"Empty", "", "not JSON"}, Bad{"CutShort", R"({"type":"AWS_KMS","uri":"arn)", "not JSON"},
        Bad{"Trailing", Spec(kKey) + "x", "not JSON"}, Bad{"NoObject", "[1]", "JSON object"},
        Bad{"AString", "\"x\"", "JSON object"},
        Bad{"TooLong", std::string(65 << 10, ' '), "longer than 64 KiB"},
        Bad{"DeepArrays", std::string(30000, '['), "nested"},
        Bad{"DeepObjects", R"({"type":{"type":{"type":1}}})", "nested"},
        Bad{"UnknownField", R"({"type":"AWS_KMS","uri":"x","host":"evil.example"})", "\"host\""},
        Bad{"FieldTwice", R"({"type":"AWS_KMS","type":"AWS_KMS","uri":"x"})", "twice"},
        Bad{"NoType", R"({"uri":"x"})", "no field \"type\""},
        Bad{"NoUri", R"({"type":"AWS_KMS"})", "no field \"uri\""},
        Bad{"WrongType", R"({"type":7,"uri":"x"})", "\"type\" of the key spec must be a string"},
        Bad{"NullUri", R"({"type":"AWS_KMS","uri":null})", "\"uri\" of the key spec must be a string"},
        Bad{"UnknownKeyType", R"({"type":"IBM_KMS","uri":"x"})", "\"IBM_KMS\" is unknown"},
        Bad{"NullKms", R"({"type":"NULL_KMS","uri":""})", "cannot be chosen"},
        Bad{"GcpRing", R"({"type":"GCP_CLOUD_KMS","uri":"projects/project/locations/l/keyRings/r"})",
            "must have the form projects/PROJECT/"},
        Bad{"Newline", Spec(kArn + kId + "\n"), "characters that no key"},
        Bad{"Nul", Spec(kArn + kId + std::string(1, '\0')), "characters that no key"},
        Bad{"NotAscii", Spec("arn:aws:kms:us-e\xC3\xA4st-1:111122223333:" + kId), "characters that no key"},
        Bad{"Url", Spec("https://evil.example/key"), "is not an ARN"},
        Bad{"BareId", Spec("1234abcd-12ab-34cd-56ef-1234567890ab"), "is not an ARN"},
        Bad{"OtherService", Spec("arn:aws:s3:us-east-1:111122223333:" + kId), "not of the service kms"},
        Bad{"Alias", Spec(kArn + "alias/mine"), "is an alias, which can be moved"},
        Bad{"UnknownPartition", Spec("arn:aws-x:kms:us-east-1:111122223333:" + kId), "partition"},
        Bad{"ForeignRegion", Spec("arn:aws:kms:cn-north-1:111122223333:" + kId),
            "region of another partition"},
        Bad{"HostInRegion", Spec("arn:aws:kms:us-east-1.evil.example/:111122223333:" + kId), "has no region"},
        Bad{"PathInRegion", Spec("arn:aws:kms:../../etc:111122223333:" + kId), "has no region"},
        Bad{"ShortAccount", Spec("arn:aws:kms:us-east-1:1111:" + kId), "12-digit account"},
        Bad{"NoKeyId", Spec(kArn + "key/"), "no key id"},
        Bad{"SqlInKeyId", Spec(kArn + "key/1234abcd-12ab-34cd-56ef-1234567890ab';--"), "no key id"},
        Bad{"UpperCaseKeyId", Spec(kArn + "key/1234ABCD-12ab-34cd-56ef-1234567890ab"), "no key id"},
        Bad{"ShortMrk", Spec(kArn + "key/mrk-1234"), "no key id"},
        Bad{"MorePieces", Spec(kArn + kId + ":x"), "is not an ARN"},
        Bad{"LongUri", Spec(kArn + "key/" + std::string(3000, 'a')), "longer than 2048"},
        Bad{"PrincipalNoArn", Spec(kKey, "keyhold"), "auth_principal \"keyhold\" is not an ARN"},
        Bad{"PrincipalOtherService", Spec(kKey, "arn:aws:s3:::bucket"), "not of the service iam"},
        Bad{"PrincipalRoot", Spec(kKey, "arn:aws:iam::111122223333:root"), "neither a role nor"},
        Bad{"PrincipalGroup", Spec(kKey, "arn:aws:iam::111122223333:group/g"), "neither a role nor"},
        Bad{"PrincipalEmptyName", Spec(kKey, "arn:aws:iam::111122223333:role/"), "no valid name"},
        Bad{"PrincipalShell", Spec(kKey, "arn:aws:iam::111122223333:role/$(id)"), "no valid name"},
        Bad{"PrincipalLongName", Spec(kKey, kRole + std::string(100, 'x')), "too long"},
        Bad{"PrincipalOtherPartition", Spec(kKey, "arn:aws-cn:iam::111122223333:role/r"),
            "another AWS partition"}),
    [](const auto& info) { return info.param.name; });

TEST(KeySpec, TenMegabytesAreRefusedUnread) {
  EXPECT_THAT(std::string(ParseKeySpec(std::string(10 << 20, '[')).status().message()),
              HasSubstr("longer than 64 KiB"));
}

TEST(KeySpec, RegionIsTheKeysOwn) {
  const KeySpec spec = *MakeKeySpec("AWS_KMS", kKey, "");
  EXPECT_EQ(RegionOf(spec), "us-east-1");
  EXPECT_TRUE(CheckRegion(spec, "us-east-1").ok());
  const Status wrong = CheckRegion(spec, "eu-west-1");
  EXPECT_EQ(CauseOf(wrong), Cause::kKmsWrongKey);
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("is in region us-east-1, the cluster is in eu-west-1"));
  EXPECT_TRUE(CheckRegion(NullKmsSpec(), "eu-west-1").ok());
}

TEST(KeySpec, AnAzureKeyIsTheSameInAnyVersion) {
  const std::string key = "https://demo.vault.azure.net/keys/cmek";
  EXPECT_TRUE(IsSameKey(key, key));
  EXPECT_TRUE(IsSameKey(key, key + "/" + std::string(32, 'a')));
  EXPECT_TRUE(IsSameKey(key + "/" + std::string(32, 'b'), key + "/" + std::string(32, 'a')));
  EXPECT_TRUE(IsSameKey(key, "https://demo.vault.azure.net/keys/CMEK")) << "names have no case there";
  EXPECT_FALSE(IsSameKey(key, key + "2"));
  EXPECT_FALSE(IsSameKey(key, "https://other.vault.azure.net/keys/cmek"));
  EXPECT_FALSE(IsSameKey("projects/p/k", "projects/p/K"));
  EXPECT_TRUE(IsSameKey("", ""));
}

TEST(Arn, HostsComeFromATable) {
  EXPECT_EQ(aws::ServiceHost("kms", "aws", "us-east-1"), "kms.us-east-1.amazonaws.com");
  EXPECT_EQ(aws::ServiceHost("sts", "aws-cn", "cn-north-1"), "sts.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(aws::ServiceHost("kms", "aws-us-gov", "us-gov-west-1"), "kms.us-gov-west-1.amazonaws.com");
}

TEST(Arn, AssumedRoleStandsForItsRole) {
  const std::string session = "arn:aws:sts::111122223333:assumed-role/keyhold/i-0123";
  EXPECT_EQ(aws::GrantableArn(session), kRole);
  EXPECT_EQ(aws::GrantableArn("arn:aws:iam::111122223333:user/keyhold"),
            "arn:aws:iam::111122223333:user/keyhold");
  EXPECT_TRUE(aws::IsCaller(*aws::ParsePrincipalArn("arn:aws:iam::111122223333:role/path/keyhold"), session));
  EXPECT_FALSE(aws::IsCaller(*aws::ParsePrincipalArn("arn:aws:iam::111122223333:user/keyhold"), session));
  EXPECT_FALSE(aws::IsCaller(*aws::ParsePrincipalArn("arn:aws:iam::999922223333:role/keyhold"), session));
}

}  // namespace
}  // namespace keyhold::kms
