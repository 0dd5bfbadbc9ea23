// The vendor's own command line, unchanged, through HTTPS_PROXY and AWS_CA_BUNDLE: every command of the
// seed's AWS part and of a key's life, its values checked. Runs with every `aws` that is on the machine.
#include <unistd.h>

#include <array>
#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {
namespace {

struct Output {
  int exit = -1;
  std::string text;  // stdout and stderr
};

// Clients go by the machine's clock.
class AwsCliTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (access(GetParam().c_str(), X_OK) != 0) GTEST_SKIP() << GetParam() << " is not installed";
    Json customer = Json::parse(ReadFile(cloud.File("customer.json")))["aws"];
    environment = absl::StrCat("env -i PATH=\"$PATH\" HOME=", cloud.dir(),
                               " HTTPS_PROXY=http://127.0.0.1:", cloud.cloud().port(),
                               " AWS_CA_BUNDLE=", cloud.File("ca.pem"),
                               " AWS_EC2_METADATA_DISABLED=true AWS_PAGER= AWS_MAX_ATTEMPTS=1 ");
    as_customer = absl::StrCat("AWS_ACCESS_KEY_ID=", customer["access_key_id"].get<std::string>(),
                               " AWS_SECRET_ACCESS_KEY=", customer["secret_access_key"].get<std::string>(),
                               " AWS_DEFAULT_REGION=us-east-1 ");
    as_platform = absl::StrCat("AWS_SHARED_CREDENTIALS_FILE=", cloud.File("platform/aws-credentials"),
                               " AWS_DEFAULT_REGION=us-east-1 ");
  }

  Output Run(const std::string& who, const std::string& arguments) {
    std::string command =
        absl::StrCat("exec timeout 60 ", environment, who, GetParam(), " ", arguments, " 2>&1");
    FILE* pipe = popen(command.c_str(), "r");
    Output output;
    if (pipe == nullptr) return output;
    std::array<char, 4096> buffer;
    while (size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) output.text.append(buffer.data(), n);
    output.exit = WEXITSTATUS(pclose(pipe));
    return output;
  }

  // The output of a command that must succeed: `--query` one value, `--output text`.
  std::string Aws(const std::string& arguments) {
    Output output = Run(as_customer, arguments);
    EXPECT_EQ(output.exit, 0) << arguments << "\n" << output.text;
    return std::string(absl::StripAsciiWhitespace(output.text));
  }

  void ExpectRefused(const std::string& who, const std::string& arguments, const std::string& error) {
    Output output = Run(who, arguments);
    EXPECT_NE(output.exit, 0) << arguments;
    EXPECT_NE(output.text.find("(" + error + ")"), std::string::npos) << output.text;
  }

  std::string WriteFile(const std::string& name, const std::string& content) {
    std::string path = cloud.File(name);
    FILE* file = fopen(path.c_str(), "w");
    fwrite(content.data(), 1, content.size(), file);
    fclose(file);
    return path;
  }

  TestCloud cloud;
  std::string environment, as_customer, as_platform;
};

TEST_P(AwsCliTest, TheSeedsKeyIsMadeGrantedDisabledAndEnabled) {
  std::string key = Aws(
      "kms create-key --description 'CockroachDB CMEK - demo' --key-usage ENCRYPT_DECRYPT --origin AWS_KMS "
      "--region us-east-1 --query KeyMetadata.Arn --output text");
  ASSERT_EQ(key.rfind("arn:aws:kms:us-east-1:" + cloud.customer_account() + ":key/", 0), 0u) << key;
  std::string secret = WriteFile("secret", "attack at dawn");
  std::string encrypt = absl::StrCat("kms encrypt --key-id ", key, " --plaintext fileb://", secret,
                                     " --encryption-context cluster=c1 --query CiphertextBlob --output text");
  std::string blob;
  ASSERT_TRUE(absl::Base64Unescape(Aws(encrypt), &blob));
  std::string sealed = WriteFile("sealed", blob);
  std::string decrypt = absl::StrCat("kms decrypt --ciphertext-blob fileb://", sealed,
                                     " --encryption-context cluster=c1 --query Plaintext --output text");
  EXPECT_EQ(Aws(decrypt), absl::Base64Escape("attack at dawn"));
  ExpectRefused(as_customer, absl::StrCat("kms decrypt --ciphertext-blob fileb://", sealed),
                "InvalidCiphertextException");

  ExpectRefused(as_platform, encrypt, "AccessDeniedException");
  Json policy = {{"Version", "2012-10-17"},
                 {"Statement",
                  {{{"Effect", "Allow"},
                    {"Principal", {{"AWS", "arn:aws:iam::" + cloud.customer_account() + ":root"}}},
                    {"Action", "kms:*"},
                    {"Resource", "*"}},
                   {{"Effect", "Allow"},
                    {"Principal", {{"AWS", cloud.platform_arn()}}},
                    {"Action", {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"}},
                    {"Resource", "*"}}}}};
  std::string file = WriteFile("policy.json", policy.dump());
  Aws(absl::StrCat("kms put-key-policy --key-id ", key, " --policy-name default --policy file://", file));
  EXPECT_EQ(Json::parse(Aws(absl::StrCat("kms get-key-policy --key-id ", key,
                                         " --policy-name default --query Policy --output text"))),
            policy);
  EXPECT_EQ(Run(as_platform, encrypt).exit, 0);
  ExpectRefused(as_platform, "kms disable-key --key-id " + key, "AccessDeniedException");

  Aws("kms disable-key --key-id " + key);
  ExpectRefused(as_platform, encrypt, "DisabledException");
  Aws("kms enable-key --key-id " + key);
  EXPECT_EQ(Run(as_platform, encrypt).exit, 0);
  EXPECT_EQ(Aws(decrypt), absl::Base64Escape("attack at dawn"));
}

TEST_P(AwsCliTest, TheOtherCommandsOfAKeysLife) {
  std::string key = Aws("kms create-key --query KeyMetadata.KeyId --output text");
  Aws("kms create-alias --alias-name alias/demo --target-key-id " + key);
  EXPECT_EQ(Aws("kms describe-key --key-id alias/demo --query KeyMetadata.KeyId --output text"), key);
  EXPECT_EQ(Aws("kms list-aliases --query Aliases[0].AliasName --output text"), "alias/demo");
  EXPECT_EQ(Aws("kms list-keys --query Keys[0].KeyId --output text"), key);
  EXPECT_EQ(Aws("kms list-grants --key-id " + key + " --query 'length(Grants)' --output text"), "0");
  EXPECT_EQ(Aws("kms generate-data-key --key-id " + key +
                " --key-spec AES_256 --query 'length(Plaintext)' --output text"),
            "44");
  Aws("kms enable-key-rotation --key-id " + key);
  EXPECT_EQ(Aws("kms get-key-rotation-status --key-id " + key + " --query KeyRotationEnabled --output text"),
            "True");
  EXPECT_EQ(Aws("kms schedule-key-deletion --key-id " + key +
                " --pending-window-in-days 7 --query KeyId --output text"),
            "arn:aws:kms:us-east-1:" + cloud.customer_account() + ":key/" + key);
  EXPECT_EQ(Aws("kms describe-key --key-id " + key + " --query KeyMetadata.KeyState --output text"),
            "PendingDeletion");
  Aws("kms cancel-key-deletion --key-id " + key);
  EXPECT_EQ(Aws("kms describe-key --key-id " + key + " --query KeyMetadata.KeyState --output text"),
            "Disabled");
  ExpectRefused(as_customer, "kms describe-key --key-id 12345678-1234-1234-1234-123456789012",
                "NotFoundException");
}

TEST_P(AwsCliTest, ARoleIsMadeAndAssumed) {
  Json trust = {{"Version", "2012-10-17"},
                {"Statement",
                 {{{"Effect", "Allow"},
                   {"Principal", {{"AWS", cloud.platform_arn()}}},
                   {"Action", "sts:AssumeRole"},
                   {"Condition", {{"StringEquals", {{"sts:ExternalId", "org-1"}}}}}}}}};
  Json rights = {{"Version", "2012-10-17"},
                 {"Statement", {{{"Effect", "Allow"}, {"Action", "kms:*"}, {"Resource", "*"}}}}};
  std::string role = Aws("iam create-role --role-name keyhold-cmek --assume-role-policy-document file://" +
                         WriteFile("trust.json", trust.dump()) + " --query Role.Arn --output text");
  EXPECT_EQ(role, "arn:aws:iam::" + cloud.customer_account() + ":role/keyhold-cmek");
  Aws("iam put-role-policy --role-name keyhold-cmek --policy-name kms --policy-document file://" +
      WriteFile("rights.json", rights.dump()));
  EXPECT_EQ(Json::parse(Aws("iam get-role --role-name keyhold-cmek --query Role.AssumeRolePolicyDocument")),
            trust);
  EXPECT_EQ(Aws("iam list-roles --query Roles[0].RoleName --output text"), "keyhold-cmek");
  std::string assume = "sts assume-role --role-arn " + role + " --role-session-name s1 ";
  ExpectRefused(as_platform, assume, "AccessDenied");
  ExpectRefused(as_platform, assume + "--external-id org-2", "AccessDenied");
  Output assumed = Run(as_platform, assume + "--external-id org-1");
  ASSERT_EQ(assumed.exit, 0) << assumed.text;
  Json credentials = Json::parse(assumed.text)["Credentials"];
  std::string as_role =
      absl::StrCat("AWS_ACCESS_KEY_ID=", credentials["AccessKeyId"].get<std::string>(),
                   " AWS_SECRET_ACCESS_KEY=", credentials["SecretAccessKey"].get<std::string>(),
                   " AWS_SESSION_TOKEN=", credentials["SessionToken"].get<std::string>(),
                   " AWS_DEFAULT_REGION=us-east-1 ");
  Output who = Run(as_role, "sts get-caller-identity --query Arn --output text");
  EXPECT_EQ(who.text, "arn:aws:sts::" + cloud.customer_account() + ":assumed-role/keyhold-cmek/s1\n");
  Output made = Run(as_role, "kms create-key --query KeyMetadata.KeyState --output text");
  EXPECT_EQ(made.text, "Enabled\n");
}

TEST_P(AwsCliTest, AUserWorksByItsAccessKeyWhileThatIsActive) {
  Json rights = {{"Version", "2012-10-17"},
                 {"Statement", {{{"Effect", "Allow"}, {"Action", "kms:Encrypt"}, {"Resource", "*"}}}}};
  std::string key = cloud.NewKey();
  EXPECT_EQ(Aws("iam create-user --user-name app --query User.Arn --output text"),
            "arn:aws:iam::" + cloud.customer_account() + ":user/app");
  Aws("iam put-user-policy --user-name app --policy-name kms --policy-document file://" +
      WriteFile("rights.json", rights.dump()));
  Json made = Json::parse(Aws("iam create-access-key --user-name app"))["AccessKey"];
  std::string id = made["AccessKeyId"];
  std::string as_app = absl::StrCat("AWS_ACCESS_KEY_ID=", id,
                                    " AWS_SECRET_ACCESS_KEY=", made["SecretAccessKey"].get<std::string>(),
                                    " AWS_DEFAULT_REGION=us-east-1 ");
  std::string encrypt = absl::StrCat("kms encrypt --key-id ", key, " --plaintext fileb://",
                                     WriteFile("secret", "attack at dawn"), " --query KeyId --output text");
  EXPECT_EQ(Run(as_app, encrypt).text, key + "\n");
  Aws("iam update-access-key --user-name app --status Inactive --access-key-id " + id);
  ExpectRefused(as_app, encrypt, "UnrecognizedClientException");
  ExpectRefused(as_app, "sts get-caller-identity", "InvalidClientTokenId");
  Aws("iam delete-access-key --user-name app --access-key-id " + id);
  // The command line follows markers by itself, and gives each page a line.
  EXPECT_EQ(Aws("iam list-users --page-size 1 --query 'Users[].UserName' --output text"), "admin\napp");
}

// Debian's, and the one that is first on the path where that is another.
std::vector<std::string> Installed() {
  std::vector<std::string> found = {"/usr/bin/aws"};
  char line[4096] = "";
  FILE* pipe = popen("command -v aws", "r");
  if (pipe != nullptr && fgets(line, sizeof line, pipe) != nullptr) {
    std::string first(absl::StripAsciiWhitespace(line));
    if (first != found[0]) found.push_back(first);
  }
  if (pipe != nullptr) pclose(pipe);
  return found;
}

INSTANTIATE_TEST_SUITE_P(Versions, AwsCliTest, testing::ValuesIn(Installed()), [](const auto& info) {
  return absl::StrCat(info.param == "/usr/bin/aws" ? "Debian" : "OnPath");
});

}  // namespace
}  // namespace keyhold::localcloud
