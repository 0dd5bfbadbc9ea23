#include "kms/credentials.h"

#include "kms/aws/platform.h"
#include "tests/kms/fixture.h"
#include "tests/kms/scripted_http.h"

namespace keyhold::kms {
namespace {

class Credentials : public Kmss {
 protected:
  std::unique_ptr<AwsCredentialSource> Source(const Environment& environment) {
    return aws::NewPlatformCredentials(environment, SystemPosix(),
                                       {http_, {clock_, sleeper_, crypto::SystemRandom()}});
  }
  StatusOr<std::shared_ptr<const AwsCredentials>> Get(const Environment& environment) {
    return Source(environment)->Get(kBudget);
  }
  Environment File(const std::string& content, const std::string& profile = "") {
    testing::WriteFile(dir_.File("credentials"), content);
    return {{"AWS_SHARED_CREDENTIALS_FILE", dir_.File("credentials")}, {"AWS_PROFILE", profile}};
  }

  testing::ScriptedHttp http_;
};

TEST_F(Credentials, ComeFromTheVariables) {
  const auto got =
      Get({{"AWS_ACCESS_KEY_ID", "AK"}, {"AWS_SECRET_ACCESS_KEY", "SK"}, {"AWS_SESSION_TOKEN", "T"}});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)->access_key_id, "AK");
  EXPECT_EQ((*got)->secret_access_key.ExposeText(), "SK");
  EXPECT_EQ((*got)->session_token.ExposeText(), "T");
}

TEST_F(Credentials, ComeFromTheFilesProfile) {
  const std::string file =
      "# comment\n[default]\naws_access_key_id=AK1\naws_secret_access_key = SK1\n"
      "\n[ other ]\r\naws_access_key_id = AK2\r\naws_secret_access_key=S=K2\r\naws_session_token= T2\r\n";
  EXPECT_EQ((*Get(File(file)))->access_key_id, "AK1");
  const auto other = Get(File(file, "other"));
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ((*other)->secret_access_key.ExposeText(), "S=K2");
  EXPECT_EQ((*other)->session_token.ExposeText(), "T2");
}

TEST_F(Credentials, OfARotatedFileAreUsedAtOnce) {
  const auto source = Source(File("[default]\naws_access_key_id=OLD\naws_secret_access_key=x\n"));
  EXPECT_EQ((*source->Get(kBudget))->access_key_id, "OLD");
  File("[default]\naws_access_key_id=NEW\naws_secret_access_key=x\n");
  EXPECT_EQ((*source->Get(kBudget))->access_key_id, "NEW");
}

TEST_F(Credentials, ThatAreNoneAreSaid) {
  for (const Environment& environment :
       {Environment{}, Environment{{"AWS_ACCESS_KEY_ID", "AK"}}, Environment{{"AWS_SECRET_ACCESS_KEY", "SK"}},
        Environment{{"AWS_ACCESS_KEY_ID", "AK\r\nX-Evil: 1"}, {"AWS_SECRET_ACCESS_KEY", "SK"}},
        Environment{{"AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials"}}, File(""), File("[default]\n"),
        File("[default]\naws_access_key_id=AK\n"), File("[a]\naws_access_key_id=AK\n", "b"),
        File(std::string(100 << 10, '\n'))}) {
    const auto got = Get(environment);
    EXPECT_EQ(CauseOf(got.status()), Cause::kKmsBadCredentials);
    EXPECT_EQ(std::string(got.status().message()).find("SK"), std::string::npos) << "no secret in a message";
  }
}

TEST_F(Credentials, WayToTheCloudsComesFromTheVariables) {
  const HttpOptions options = HttpOptionsFrom({{"HTTPS_PROXY", "http://a:1"},
                                               {"https_proxy", "http://b:2"},
                                               {"NO_PROXY", "localhost"},
                                               {"AWS_CA_BUNDLE", "/ca.pem"}});
  EXPECT_EQ(options.https_proxy, "http://b:2") << "the lower case name first, as curl has it";
  EXPECT_EQ(options.no_proxy, "localhost");
  EXPECT_EQ(options.ca_file, "/ca.pem");
}

TEST_F(Credentials, AllNamesAreListed) {
  const auto names = EnvironmentNames();
  for (const char* name : {"AWS_SHARED_CREDENTIALS_FILE", "AZURE_TENANT_ID", "AZURE_CLIENT_CERTIFICATE_PATH",
                           "AZURE_FEDERATED_TOKEN_FILE", "HTTPS_PROXY"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), std::string(name)), 1) << name;
  }
}

}  // namespace
}  // namespace keyhold::kms
