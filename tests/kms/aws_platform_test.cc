// The platform's credentials where they are not two variables: web identity, profiles with roles, containers,
// EC2.
#include "kms/aws/platform.h"

#include "tests/kms/fixture.h"
#include "tests/kms/scripted_http.h"

namespace keyhold::kms::aws {
namespace {

constexpr char kRole[] = "arn:aws:iam::111122223333:role/keyhold";
constexpr char kInstanceRoles[] = "GET 169.254.169.254/latest/meta-data/iam/security-credentials/";
constexpr char kInstanceToken[] = "PUT 169.254.169.254/latest/api/token";

class AwsPlatform : public Kmss {
 protected:
  using Got = StatusOr<std::shared_ptr<const AwsCredentials>>;

  AwsCredentialSource& Use(const Environment& environment) {
    source_ = NewPlatformCredentials(environment, SystemPosix(),
                                     {http_, {clock_, sleeper_, crypto::SystemRandom()}});
    return *source_;
  }
  Got Get(const Environment& environment) { return Use(environment).Get(kBudget); }

  std::string In(absl::Duration from_now) {
    return absl::FormatTime(absl::RFC3339_sec, clock_.Now() + from_now, absl::UTCTimeZone());
  }

  void StsGives(const std::string& id, const std::string& host = "sts.us-east-1.amazonaws.com") {
    http_.On("POST " + host + "/", 200,
             "<Credentials><AccessKeyId>" + id +
                 "</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T"
                 "</SessionToken><Expiration>" +
                 In(absl::Hours(1)) + "</Expiration></Credentials>");
  }
  void StsRefuses(const std::string& code, int status) {
    http_.On("POST sts.us-east-1.amazonaws.com/", status,
             "<ErrorResponse><Error><Code>" + code + "</Code><Message>no</Message></Error></ErrorResponse>");
  }
  std::string Json(const std::string& id) {
    return R"({"Code":"Success","AccessKeyId":")" + id +
           R"(","SecretAccessKey":"S","Token":"T","Expiration":")" + In(absl::Hours(6)) + "\"}";
  }
  void InstanceGives(const std::string& id) {
    http_.On(kInstanceToken, 200, "session");
    http_.On(kInstanceRoles, 200, "the-role");
    http_.On(std::string(kInstanceRoles) + "the-role", 200, Json(id));
  }
  Environment Files(const std::string& credentials, const std::string& config,
                    const std::string& profile = "") {
    testing::WriteFile(dir_.File("credentials"), credentials);
    testing::WriteFile(dir_.File("config"), config);
    return {{"AWS_SHARED_CREDENTIALS_FILE", dir_.File("credentials")},
            {"AWS_CONFIG_FILE", dir_.File("config")},
            {"AWS_PROFILE", profile}};
  }
  Environment WebIdentity(const std::string& token = "head.body.signature\n") {
    testing::WriteFile(dir_.File("token"), token);
    return {{"AWS_WEB_IDENTITY_TOKEN_FILE", dir_.File("token")}, {"AWS_ROLE_ARN", kRole}};
  }
  static void ExpectBad(const Got& got, const std::string& words) {
    EXPECT_EQ(CauseOf(got.status()), Cause::kKmsBadCredentials) << got.status();
    EXPECT_NE(got.status().message().find(words), std::string::npos) << got.status();
  }

  testing::ScriptedHttp http_;
  std::unique_ptr<AwsCredentialSource> source_;
};

TEST_F(AwsPlatform, WebIdentityTakesARoleOnUnsigned) {
  StsGives("ASIAWEB");
  const Got got = Get(WebIdentity());
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->access_key_id, "ASIAWEB");
  EXPECT_EQ((*got)->session_token.ExposeText(), "T");
  const auto& asked = http_.asked().front();
  EXPECT_FALSE(asked.is_signed);
  EXPECT_EQ(asked.body,
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%"
            "3Arole%2Fkeyhold&"
            "RoleSessionName=keyhold&WebIdentityToken=head.body.signature");
}

TEST_F(AwsPlatform, WebIdentityAsksStsOfTheNamedRegion) {
  StsGives("ASIAWEB", "sts.eu-west-1.amazonaws.com");
  Environment environment = WebIdentity();
  environment["AWS_REGION"] = "eu-west-1";
  environment["AWS_ROLE_SESSION_NAME"] = "node-7";
  ASSERT_TRUE(Get(environment).ok());
  EXPECT_NE(http_.asked().back().body.find("RoleSessionName=node-7"), std::string::npos);
  environment["AWS_REGION"] = "evil.example.com/x";
  ExpectBad(Get(environment), "is no AWS region");
  EXPECT_EQ(http_.asked().size(), 1u) << "nothing is sent to a host that a region made up";
}

TEST_F(AwsPlatform, RolesAreTakenOnAgainBeforeTheyEndAndTheTokenIsReadAnew) {
  StsGives("FIRST");
  AwsCredentialSource& source = Use(WebIdentity());
  EXPECT_EQ((*source.Get(kBudget))->access_key_id, "FIRST");
  clock_.Advance(absl::Minutes(50));
  WebIdentity("the.next.token");
  EXPECT_EQ((*source.Get(kBudget))->access_key_id, "FIRST");
  EXPECT_EQ(http_.asked().size(), 1u);
  clock_.Advance(absl::Minutes(7));
  StsGives("SECOND");
  EXPECT_EQ((*source.Get(kBudget))->access_key_id, "SECOND");
  EXPECT_NE(http_.asked().back().body.find("the.next.token"), std::string::npos);
}

TEST_F(AwsPlatform, WhatStillHoldsIsUsedWhileStsIsAway) {
  StsGives("FIRST");
  AwsCredentialSource& source = Use(WebIdentity());
  ASSERT_TRUE(source.Get(kBudget).ok());
  http_.Silence("POST sts.us-east-1.amazonaws.com/");
  clock_.Advance(absl::Minutes(57));
  EXPECT_EQ((*source.Get(absl::Seconds(5)))->access_key_id, "FIRST");
  clock_.Advance(absl::Minutes(4));
  EXPECT_EQ(CauseOf(source.Get(absl::Seconds(5)).status()), Cause::kKmsUnreachable);
}

// Who may not be the platform's own role is not refused by the customer: a node must not lock at once.
TEST_F(AwsPlatform, ARoleThatIsRefusedToThePlatformIsItsOwnTrouble) {
  for (const auto& [code, status] :
       {std::pair{"AccessDenied", 403}, {"InvalidIdentityToken", 400}, {"ExpiredTokenException", 400}}) {
    StsRefuses(code, status);
    ExpectBad(Get(WebIdentity()), code);
  }
}

TEST_F(AwsPlatform, AWebIdentityThatIsNoneIsSaid) {
  Environment environment = WebIdentity();
  environment["AWS_ROLE_ARN"] = "arn:aws:iam::111122223333:user/somebody";
  ExpectBad(Get(environment), "is not the ARN of a role");
  environment = WebIdentity();
  environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/nowhere/token";
  ExpectBad(Get(environment), "/nowhere/token");
  EXPECT_TRUE(http_.asked().empty());
}

TEST_F(AwsPlatform, AProfileTakesItsRoleOnByItsSource) {
  StsGives("ASIAROLE");
  const Got got = Get(Files("[base]\naws_access_key_id = AKBASE\naws_secret_access_key = x\n",
                            "[profile work]\nrole_arn = " + std::string(kRole) +
                                "\nsource_profile = base\nexternal_id = org-9\nregion = us-east-1\n",
                            "work"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->access_key_id, "ASIAROLE");
  EXPECT_EQ(http_.asked().front().access_key_id, "AKBASE");
  EXPECT_NE(http_.asked().front().body.find("ExternalId=org-9"), std::string::npos);
}

TEST_F(AwsPlatform, AProfilesRoleMayStandOnTheInstance) {
  InstanceGives("ASIAINSTANCE");
  StsGives("ASIAROLE");
  const Got got = Get(Files(
      "", "[default]\nrole_arn = " + std::string(kRole) + "\ncredential_source = Ec2InstanceMetadata\n"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(http_.asked().back().access_key_id, "ASIAINSTANCE");
}

TEST_F(AwsPlatform, TheCredentialsFileGoesBeforeTheConfigFile) {
  const Got got = Get(Files("[default]\naws_access_key_id = AKCREDENTIALS\n",
                            "[default]\naws_access_key_id = AKCONFIG\naws_secret_access_key = SKCONFIG\n"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->access_key_id, "AKCREDENTIALS");
  EXPECT_EQ((*got)->secret_access_key.ExposeText(), "SKCONFIG");
}

TEST_F(AwsPlatform, ProfilesThatLeadNowhereAreSaid) {
  const std::string role = "role_arn = " + std::string(kRole) + "\n";
  ExpectBad(Get(Files("", "[profile a]\n" + role, "a")), "give it a source_profile");
  ExpectBad(Get(Files("", "[profile a]\n" + role + "source_profile = b\n", "a")), "\"b\"");
  ExpectBad(
      Get(Files("",
                "[profile a]\n" + role + "source_profile = b\n[profile b]\n" + role + "source_profile = a\n",
                "a")),
      "does not end");
  ExpectBad(Get(Files("", "[default]\nregion = us-east-1\n")), "has no credentials");
  const Got process = Get(Files("", "[default]\ncredential_process = /bin/evil\n"));
  EXPECT_EQ(CauseOf(process.status()), Cause::kUnimplemented) << process.status();
  EXPECT_TRUE(http_.asked().empty());
}

TEST_F(AwsPlatform, FilesInTheHomeDirectoryNeedNotBeThere) {
  InstanceGives("ASIAINSTANCE");
  EXPECT_EQ((*Get({{"HOME", dir_.path()}}))->access_key_id, "ASIAINSTANCE");
  std::filesystem::create_directory(dir_.File(".aws"));
  testing::WriteFile(dir_.File(".aws/credentials"),
                     "[default]\naws_access_key_id=AKHOME\naws_secret_access_key=x\n");
  EXPECT_EQ((*Get({{"HOME", dir_.path()}}))->access_key_id, "AKHOME");
}

TEST_F(AwsPlatform, AContainersAgentIsAskedWithItsToken) {
  http_.On("GET 169.254.170.2/v2/credentials/uuid", 200, Json("ASIAECS"));
  EXPECT_EQ((*Get({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/uuid"}}))->access_key_id,
            "ASIAECS");
  EXPECT_TRUE(http_.asked().back().metadata);
  http_.On("GET 169.254.170.23/v1/credentials", 200, Json("ASIAEKS"));
  testing::WriteFile(dir_.File("pod"), "pod-token\n");
  const Got pod = Get({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"},
                       {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", dir_.File("pod")}});
  ASSERT_TRUE(pod.ok()) << pod.status();
  EXPECT_EQ((*pod)->access_key_id, "ASIAEKS");
  EXPECT_EQ(http_.asked().back().headers.at("Authorization"), "pod-token");
}

TEST_F(AwsPlatform, AContainersAgentIsAtNoOtherHost) {
  for (const char* url : {"http://10.0.0.1/x", "https://evil.example.com/x",
                          "http://169.254.170.2.evil.example/x", "http://169.254.170.2@evil.example/x",
                          "http://169.254.170.23:8080/x", "http://169.254.170.2/a b", "file:///etc/passwd"}) {
    ExpectBad(Get({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", url}}), "169.254.170.2");
  }
  EXPECT_TRUE(http_.asked().empty());
}

TEST_F(AwsPlatform, AnInstancesRoleIsAskedForByASessionsToken) {
  InstanceGives("ASIAINSTANCE");
  EXPECT_EQ((*Get({}))->access_key_id, "ASIAINSTANCE");
  ASSERT_EQ(http_.asked().size(), 3u);
  EXPECT_EQ(http_.asked()[0].headers.at("X-aws-ec2-metadata-token-ttl-seconds"), "60");
  for (const int i : {1, 2}) EXPECT_EQ(http_.asked()[i].headers.at("X-aws-ec2-metadata-token"), "session");
  for (const auto& asked : http_.asked()) EXPECT_TRUE(asked.metadata);
}

TEST_F(AwsPlatform, AnInstanceWithoutRoleOrAnAnswerThatIsNoneIsSaid) {
  InstanceGives("ASIAINSTANCE");
  http_.On(kInstanceRoles, 404, "");
  ExpectBad(Get({}), "404");
  http_.On(kInstanceRoles, 200, "");
  ExpectBad(Get({}), "attach an instance profile");
  InstanceGives("ASIAINSTANCE");
  http_.On(std::string(kInstanceRoles) + "the-role", 200,
           R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"no"})");
  ExpectBad(Get({}), "AssumeRoleUnauthorizedAccess");
  http_.On(std::string(kInstanceRoles) + "the-role", 200, "<html>");
  EXPECT_EQ(CauseOf(Get({}).status()), Cause::kKmsCorrupt);
}

TEST_F(AwsPlatform, NobodyAnsweringMeansThatThisIsNoInstance) {
  ExpectBad(Get({}), "there are no AWS credentials");
  ExpectBad(Get({{"AWS_EC2_METADATA_DISABLED", "true"}}), "there are no AWS credentials");
  EXPECT_EQ(http_.asked().size(), 1u) << "and is not asked where that is turned off";
}

TEST_F(AwsPlatform, AMetadataServiceThatIsAwayForAWhileIsThat) {
  InstanceGives("ASIAINSTANCE");
  AwsCredentialSource& source = Use({});
  ASSERT_TRUE(source.Get(kBudget).ok());
  http_.Silence(kInstanceToken);
  clock_.Advance(absl::Hours(6));
  EXPECT_EQ(CauseOf(source.Get(kBudget).status()), Cause::kKmsUnreachable);
}

TEST(AwsEndpoints, AreTheUsualOnesOrFipsOrPrivate) {
  const auto host = [](const Environment& environment, const char* service, const char* partition,
                       const char* region) {
    const auto endpoints = Endpoints::From(environment);
    return endpoints.ok() ? endpoints->Host(service, partition, region) : endpoints.status();
  };
  EXPECT_EQ(*host({}, "kms", "aws", "us-east-1"), "kms.us-east-1.amazonaws.com");
  const Environment fips = {{"AWS_USE_FIPS_ENDPOINT", "true"}};
  EXPECT_EQ(*host(fips, "kms", "aws", "ca-central-1"), "kms-fips.ca-central-1.amazonaws.com");
  EXPECT_EQ(*host(fips, "sts", "aws", "us-west-2"), "sts-fips.us-west-2.amazonaws.com");
  EXPECT_EQ(*host(fips, "kms", "aws-us-gov", "us-gov-west-1"), "kms-fips.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(*host(fips, "sts", "aws-us-gov", "us-gov-west-1"), "sts.us-gov-west-1.amazonaws.com");
  EXPECT_EQ(CauseOf(host(fips, "kms", "aws-cn", "cn-north-1").status()), Cause::kInvalidArgument);
  const std::string own = "vpce-0a1b-c2d3.kms.us-east-1.vpce.amazonaws.com";
  const Environment vpc = {{"AWS_ENDPOINT_URL_KMS", "https://" + own + "/"}};
  EXPECT_EQ(*host(vpc, "kms", "aws", "us-east-1"), own);
  EXPECT_EQ(*host(vpc, "kms", "aws", "us-east-2"), "kms.us-east-2.amazonaws.com")
      << "an endpoint is one region's";
  EXPECT_EQ(*host(vpc, "sts", "aws", "us-east-1"), "sts.us-east-1.amazonaws.com");
}

TEST(AwsEndpoints, AreNowhereElse) {
  for (const char* url : {"https://kms.example.com", "http://vpce-1.kms.us-east-1.vpce.amazonaws.com",
                          "https://vpce-1.kms.us-east-1.vpce.amazonaws.com.evil",
                          "https://vpce-1.sts.us-east-1.vpce.amazonaws.com",
                          "https://vpce-1.kms.us-east-1.vpce.amazonaws.com:8443",
                          "https://vpce-1.kms.us-east-1.vpce.amazonaws.com/path",
                          "https://user@vpce-1.kms.us-east-1.vpce.amazonaws.com",
                          "https://vpce-1.kms.cn-north-1.vpce.amazonaws.com",
                          "https://vpce-1.kms.nowhere.vpce.amazonaws.com"}) {
    EXPECT_EQ(CauseOf(Endpoints::From({{"AWS_ENDPOINT_URL_KMS", url}}).status()), Cause::kInvalidArgument)
        << url;
  }
  EXPECT_EQ(
      CauseOf(Endpoints::From({{"AWS_USE_FIPS_ENDPOINT", "true"},
                               {"AWS_ENDPOINT_URL_KMS", "https://vpce-1.kms.us-east-1.vpce.amazonaws.com"}})
                  .status()),
      Cause::kInvalidArgument);
}

}  // namespace
}  // namespace keyhold::kms::aws
