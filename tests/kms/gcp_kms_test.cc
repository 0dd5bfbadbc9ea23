// Google Cloud KMS over a transport that answers anything: what is sent, what is believed, what becomes of
// errors, and where tokens come from.
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "crypto/rsa.h"
#include "tests/kms/fake_gcp.h"
#include "tests/kms/fixture.h"

namespace keyhold::kms {
namespace {

using nlohmann::json;
using testing::Answer;
using testing::FakeGcp;
using testing::GoogleError;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Message(const Status& status) { return std::string(status.message()); }

const crypto::RsaPrivateKey& AccountKey() {
  static const crypto::RsaPrivateKey key = *crypto::RsaPrivateKey::Generate(2048);
  return key;
}

class Gcp : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteKeyFile([](json&) {});
  }

  void Write(const std::string& name, const std::string& text) { std::ofstream(dir_.File(name)) << text; }

  void WriteKeyFile(const std::function<void(json&)>& change) {
    json file = {{"type", "service_account"},
                 {"client_email", FakeGcp::kAccount},
                 {"private_key_id", "kid-1"},
                 {"private_key", std::string(AccountKey().ToPem().ExposeText())},
                 {"token_uri", "https://oauth2.googleapis.com/token"}};
    change(file);
    Write("key.json", file.dump());
    environment_["GOOGLE_APPLICATION_CREDENTIALS"] = dir_.File("key.json");
  }

  Kms& Open(const std::string& auth_principal = "") {
    if (provider_ == nullptr) {
      provider_ = NewProvider(
          {environment_, "", "org-1", SystemPosix(), clock_, crypto::SystemRandom(), sleeper_}, gcp_);
    }
    auto kms = provider_->Open({KeyType::kGcpCloudKms, FakeGcp::kKey, auth_principal});
    EXPECT_TRUE(kms.ok()) << kms.status();
    kms_ = *std::move(kms);
    return *kms_;
  }

  StatusOr<std::string> Wrap(Kms& kms, absl::Duration budget = kBudget) {
    return BytesOf(kms.Wrap(crypto::AsBytes(secret_), context_, budget));
  }
  StatusOr<crypto::SecretBytes> Unwrap(Kms& kms, const std::string& wrapped) {
    return kms.Unwrap(crypto::AsBytes(wrapped), context_, kBudget);
  }
  // What becomes of a true answer of `what`, changed.
  Status WithAnswer(const std::string& what, const std::function<void(json&)>& change) {
    Kms& kms = Open();
    const std::string wrapped = *Wrap(kms);
    gcp_.On(what, [&](const FakeGcp::Seen& seen) {
      json answer = what == ":encrypt" ? gcp_.Encrypted(seen) : gcp_.Decrypted(seen);
      change(answer);
      return Answer(200, answer.dump());
    });
    return what == ":encrypt" ? Wrap(kms).status() : Unwrap(kms, wrapped).status();
  }
  Status Refused(const HttpResponse& answer) {
    const auto copy = [status = answer.status, body = std::string(answer.body.ExposeText())](const auto&) {
      return StatusOr<HttpResponse>(Answer(status, body));
    };
    gcp_.On(":decrypt", copy);
    return Unwrap(Open(), "x").status();
  }

  const Context context_ = {{"keyhold:cluster", "c1"}, {"keyhold:store", "s1"}};
  const std::string secret_ = std::string(32, 's');
  Environment environment_;
  testing::TempDir dir_;
  testing::FakeClock clock_;
  ClockSleeper sleeper_{clock_};
  FakeGcp gcp_;
  std::unique_ptr<KmsProvider> provider_;
  std::unique_ptr<Kms> kms_;
};

TEST_F(Gcp, WrapsAndUnwraps) {
  Kms& kms = Open();
  const auto wrapped = Wrap(kms);
  ASSERT_TRUE(wrapped.ok()) << wrapped.status();
  const auto opened = Unwrap(kms, *wrapped);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->ExposeText(), secret_);
}

TEST_F(Gcp, SendsWhatCloudKmsAsksFor) {
  ASSERT_TRUE(Wrap(Open()).ok());
  ASSERT_EQ(gcp_.seen().size(), 2U);
  const FakeGcp::Seen seen = gcp_.seen()[1];
  EXPECT_EQ(seen.host, "cloudkms.googleapis.com");
  EXPECT_EQ(seen.path, std::string("/v1/") + FakeGcp::kKey + ":encrypt");
  EXPECT_EQ(seen.bearer, "ya29.platform");
  EXPECT_EQ(seen.headers.at("Content-Type"), "application/json");
  const json body = json::parse(seen.body);
  const std::string aad = R"({"keyhold:cluster":"c1","keyhold:store":"s1"})";
  EXPECT_EQ(body.at("additionalAuthenticatedData"), FakeGcp::Encoded(aad));
  EXPECT_EQ(body.at("additionalAuthenticatedDataCrc32c"), FakeGcp::Crc(aad));
  EXPECT_EQ(body.at("plaintext"), FakeGcp::Encoded(secret_));
  EXPECT_EQ(body.at("plaintextCrc32c"), FakeGcp::Crc(secret_));
}

TEST_F(Gcp, AsksForTokensWithASignedAssertion) {
  ASSERT_TRUE(Wrap(Open()).ok());
  const FakeGcp::Seen seen = gcp_.seen()[0];
  EXPECT_EQ(seen.host, "oauth2.googleapis.com");
  EXPECT_EQ(seen.path, "/token");
  const std::string before = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
  ASSERT_TRUE(seen.body.starts_with(before)) << seen.body;
  const std::vector<std::string> parts = absl::StrSplit(seen.body.substr(before.size()), '.');
  ASSERT_EQ(parts.size(), 3U);
  std::string header, claims, signature;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[0], &header));
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[1], &claims));
  ASSERT_TRUE(absl::WebSafeBase64Unescape(parts[2], &signature));
  EXPECT_EQ(json::parse(header), json({{"alg", "RS256"}, {"kid", "kid-1"}, {"typ", "JWT"}}));
  EXPECT_EQ(json::parse(claims)["iss"], FakeGcp::kAccount);
  EXPECT_EQ(json::parse(claims)["aud"], "https://oauth2.googleapis.com/token");
  EXPECT_EQ(json::parse(claims)["exp"].get<int>() - json::parse(claims)["iat"].get<int>(), 3600);
  EXPECT_TRUE(crypto::VerifyRs256(AccountKey().PublicPem(), crypto::AsBytes(parts[0] + "." + parts[1]),
                                  crypto::AsBytes(signature))
                  .ok());
}

TEST_F(Gcp, TokensAreKeptAndRenewedBeforeTheyEnd) {
  Kms& kms = Open();
  ASSERT_TRUE(Wrap(kms).ok());
  ASSERT_TRUE(Wrap(kms).ok());
  EXPECT_EQ(gcp_.Count("/token"), 1U);
  clock_.Advance(absl::Minutes(57));
  ASSERT_TRUE(Wrap(kms).ok());
  EXPECT_EQ(gcp_.Count("/token"), 2U);
}

TEST_F(Gcp, ARefusedTokenIsGivenUpOnce) {
  Kms& kms = Open();
  int refusals = 1;
  gcp_.On(":encrypt", [&](const FakeGcp::Seen& seen) {
    return refusals-- > 0
               ? GoogleError(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
               : Answer(200, gcp_.Encrypted(seen).dump());
  });
  EXPECT_TRUE(Wrap(kms).ok());
  EXPECT_EQ(gcp_.Count("/token"), 2U);
  refusals = 100;
  EXPECT_EQ(CauseOf(Wrap(kms).status()), Cause::kKmsBadCredentials);
  EXPECT_EQ(gcp_.Count(":encrypt"), 4U);
}

TEST_F(Gcp, OwnAccountIsUsedAsItIsAndAnotherImpersonated) {
  ASSERT_TRUE(Wrap(Open(FakeGcp::kAccount)).ok());
  EXPECT_EQ(gcp_.Count(":generateAccessToken"), 0U);
  Kms& kms = Open(FakeGcp::kCustomer);
  ASSERT_TRUE(Wrap(kms).ok());
  ASSERT_TRUE(Wrap(kms).ok());
  EXPECT_EQ(gcp_.Count(":generateAccessToken"), 1U);
  const auto seen = gcp_.seen();
  EXPECT_EQ(seen.back().bearer, "ya29.customer");
  const auto& asked = seen[seen.size() - 3];
  EXPECT_EQ(asked.host, "iamcredentials.googleapis.com");
  EXPECT_EQ(asked.path,
            std::string("/v1/projects/-/serviceAccounts/") + FakeGcp::kCustomer + ":generateAccessToken");
  EXPECT_EQ(asked.bearer, "ya29.platform");
  EXPECT_EQ(json::parse(asked.body),
            json({{"scope", {"https://www.googleapis.com/auth/cloudkms"}}, {"lifetime", "3600s"}}));
}

TEST_F(Gcp, ImpersonationThatIsNotAllowedSaysWhatToGrant) {
  gcp_.On(":generateAccessToken", [](const auto&) {
    return GoogleError(
        403, "PERMISSION_DENIED",
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).");
  });
  const Status status = Wrap(Open(FakeGcp::kCustomer)).status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
  EXPECT_THAT(Message(status), HasSubstr(std::string("gcloud iam service-accounts add-iam-policy-binding ") +
                                         FakeGcp::kCustomer + " --member serviceAccount:" +
                                         FakeGcp::kAccount + " --role roles/iam.serviceAccountTokenCreator"));
}

TEST_F(Gcp, MetadataServerIsAskedWithoutCredentialsFile) {
  environment_.clear();
  ASSERT_TRUE(Wrap(Open()).ok());
  const FakeGcp::Seen seen = gcp_.seen()[0];
  EXPECT_TRUE(seen.metadata);
  EXPECT_EQ(seen.host, "169.254.169.254");
  EXPECT_EQ(seen.headers.at("Metadata-Flavor"), "Google");
  EXPECT_EQ(seen.path, "/computeMetadata/v1/instance/service-accounts/default/token");
}

TEST_F(Gcp, AMetadataServerThatIsNotGooglesIsNotBelieved) {
  environment_.clear();
  gcp_.On("/token", [](const auto&) { return Answer(200, R"({"access_token":"x","expires_in":60})"); });
  EXPECT_EQ(CauseOf(Wrap(Open()).status()), Cause::kKmsBadCredentials);
}

TEST_F(Gcp, NoCredentialsIsSaid) {
  environment_ = {{"NO_GCE_CHECK", "true"}};
  const Status status = Wrap(Open()).status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsBadCredentials);
  EXPECT_THAT(Message(status), HasSubstr("GOOGLE_APPLICATION_CREDENTIALS"));
  EXPECT_TRUE(gcp_.seen().empty());
}

TEST_F(Gcp, TokenFileIsReadEachTime) {
  Write("token", "ya29.one\n");
  environment_ = {{"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", dir_.File("token")}};
  Kms& kms = Open();
  ASSERT_TRUE(Wrap(kms).ok());
  Write("token", "ya29.two\n");
  ASSERT_TRUE(Wrap(kms).ok());
  EXPECT_EQ(gcp_.seen()[0].bearer, "ya29.one");
  EXPECT_EQ(gcp_.seen()[1].bearer, "ya29.two");
}

TEST_F(Gcp, FederatedTokensAreExchanged) {
  const json file = {
      {"type", "external_account"},
      {"audience", "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"},
      {"subject_token_type", "urn:ietf:params:oauth:token-type:jwt"},
      {"token_url", "https://sts.googleapis.com/v1/token"},
      {"service_account_impersonation_url",
       std::string("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/") +
           FakeGcp::kAccount + ":generateAccessToken"},
      {"credential_source",
       {{"file", dir_.File("subject")},
        {"format", {{"type", "json"}, {"subject_token_field_name", "id_token"}}}}}};
  Write("subject", R"({"id_token":"a.b&c"})");
  Write("key.json", file.dump());
  ASSERT_TRUE(Wrap(Open()).ok());
  const auto seen = gcp_.seen();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0].host, "sts.googleapis.com");
  EXPECT_EQ(seen[0].path, "/v1/token");
  EXPECT_THAT(seen[0].body,
              HasSubstr("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"));
  EXPECT_THAT(seen[0].body, HasSubstr("subject_token=a.b%26c"));
  EXPECT_EQ(seen[1].host, "iamcredentials.googleapis.com");
  EXPECT_EQ(seen[1].bearer, "ya29.platform");
  EXPECT_EQ(seen[2].bearer, "ya29.customer");
}

TEST_F(Gcp, CredentialsFilesLeadToNoOtherHost) {
  const std::pair<const char*, std::function<void(json&)>> cases[] = {
      {"token_uri", [](json& f) { f["token_uri"] = "https://evil.example/token"; }},
      {"token_uri", [](json& f) { f["token_uri"] = "https://oauth2.googleapis.com@evil.example/token"; }},
      {"universe", [](json& f) { f["universe_domain"] = "evil.example"; }},
      {"client_email", [](json& f) { f["client_email"] = "x@evil.example"; }},
      {"private_key", [](json& f) { f["private_key"] = "-----BEGIN PRIVATE KEY-----"; }},
      {"type", [](json& f) { f["type"] = "authorized_user"; }},
      {"token_url",
       [](json& f) {
         f = {{"type", "external_account"},
              {"audience", "a"},
              {"subject_token_type", "t"},
              {"token_url", "https://evil.example/"},
              {"credential_source", {{"file", "/f"}}}};
       }},
      {"impersonation", [](json& f) {
         f = {{"type", "external_account"},
              {"audience", "a"},
              {"subject_token_type", "t"},
              {"service_account_impersonation_url", "https://evil.example/x:generateAccessToken"},
              {"credential_source", {{"file", "/f"}}}};
       }}};
  for (const auto& [words, change] : cases) {
    WriteKeyFile(change);
    provider_.reset();
    const Status status = Wrap(Open()).status();
    EXPECT_EQ(CauseOf(status), Cause::kKmsBadCredentials) << words;
    EXPECT_THAT(Message(status), HasSubstr(words));
    EXPECT_THAT(Message(status), Not(HasSubstr("BEGIN")));
  }
  EXPECT_TRUE(gcp_.seen().empty());
}

TEST_F(Gcp, AnswersThatDoNotVerifyAreNotBelieved) {
  const std::vector<std::pair<std::string, std::function<void(json&)>>> cases = {
      {":encrypt", [](json& a) { a["ciphertextCrc32c"] = "1"; }},
      {":encrypt", [](json& a) { a.erase("ciphertextCrc32c"); }},
      {":encrypt", [](json& a) { a["verifiedPlaintextCrc32c"] = false; }},
      {":encrypt", [](json& a) { a.erase("verifiedAdditionalAuthenticatedDataCrc32c"); }},
      {":encrypt", [](json& a) { a["name"] = "projects/x/cryptoKeyVersions/1"; }},
      {":encrypt", [](json& a) { a["name"] = std::string(FakeGcp::kKey) + "2/cryptoKeyVersions/1"; }},
      {":encrypt", [](json& a) { a["ciphertext"] = "***"; }},
      {":encrypt", [](json& a) { a["ciphertext"] = 7; }},
      {":encrypt", [](json& a) { a["ciphertext"] = FakeGcp::Encoded(std::string(7000, 'x')); }},
      {":decrypt", [](json& a) { a["plaintextCrc32c"] = "1"; }},
      {":decrypt", [](json& a) { a.erase("plaintextCrc32c"); }},
      {":decrypt", [](json& a) { a["plaintext"] = ""; }},
      {":decrypt", [](json& a) { a["plaintext"] = FakeGcp::Encoded(std::string(5000, 'x')); }},
      {":decrypt", [](json& a) { a = json::array(); }}};
  for (size_t i = 0; i < cases.size(); ++i) {
    gcp_.On(":encrypt", [&](const auto& seen) { return Answer(200, gcp_.Encrypted(seen).dump()); });
    EXPECT_EQ(CauseOf(WithAnswer(cases[i].first, cases[i].second)), Cause::kKmsCorrupt) << i;
  }
}

TEST_F(Gcp, ChecksumsMayBeNumbers) {
  EXPECT_TRUE(WithAnswer(":decrypt", [](json& a) {
                a["plaintextCrc32c"] = std::stoull(a["plaintextCrc32c"].get<std::string>());
              }).ok());
}

struct ErrorCase {
  const char* name;
  int http_status;
  const char* status;
  const char* message;
  Cause cause;
};
void PrintTo(const ErrorCase& row, std::ostream* out) { *out << row.name; }

class GcpErrors : public Gcp, public ::testing::WithParamInterface<ErrorCase> {};

TEST_P(GcpErrors, BecomeTheirCause) {
  const ErrorCase& c = GetParam();
  const Status status = Refused(GoogleError(c.http_status, c.status, c.message));
  EXPECT_EQ(CauseOf(status), c.cause) << status;
  EXPECT_THAT(Message(status), HasSubstr(FakeGcp::kKey));
}

INSTANTIATE_TEST_SUITE_P(
    All, GcpErrors,
    ::testing::Values(
        ErrorCase{"Denied", 403, "PERMISSION_DENIED", "Permission 'x' denied on resource", Cause::kKmsDenied},
        ErrorCase{"Disabled", 400, "FAILED_PRECONDITION",
                  "projects/p is not enabled, current state is: DISABLED.", Cause::kKmsDisabled},
        ErrorCase{"Scheduled", 400, "FAILED_PRECONDITION",
                  "projects/p is not enabled, current state is: DESTROY_SCHEDULED.",
                  Cause::kKmsPendingDeletion},
        ErrorCase{"Destroyed", 400, "FAILED_PRECONDITION",
                  "projects/p is not enabled, current state is: DESTROYED.", Cause::kKmsKeyNotFound},
        ErrorCase{"Generating", 400, "FAILED_PRECONDITION",
                  "projects/p is not enabled, current state is: PENDING_GENERATION.", Cause::kKmsUnreachable},
        ErrorCase{"OtherPrecondition", 400, "FAILED_PRECONDITION", "EKM said no", Cause::kKmsUnreachable},
        ErrorCase{"NoPrimary", 400, "FAILED_PRECONDITION", "it has no primary version", Cause::kKmsDisabled},
        ErrorCase{"Purpose", 400, "FAILED_PRECONDITION", "it has the purpose MAC", Cause::kKmsWrongKey},
        ErrorCase{"NotFound", 404, "NOT_FOUND", "CryptoKey x not found.", Cause::kKmsKeyNotFound},
        ErrorCase{"Ciphertext", 400, "INVALID_ARGUMENT",
                  "Decryption failed: verify that 'name' refers to the correct CryptoKey.",
                  Cause::kKmsCorrupt},
        ErrorCase{"Damaged", 400, "INVALID_ARGUMENT",
                  "The checksum in field ciphertext_crc32c did not match the data in field ciphertext.",
                  Cause::kKmsUnreachable},
        ErrorCase{"Argument", 400, "INVALID_ARGUMENT", "no", Cause::kKmsWrongKey},
        ErrorCase{"Token", 401, "UNAUTHENTICATED", "no", Cause::kKmsBadCredentials},
        ErrorCase{"Quota", 429, "RESOURCE_EXHAUSTED", "Quota exceeded", Cause::kKmsThrottled},
        ErrorCase{"Unavailable", 503, "UNAVAILABLE", "later", Cause::kKmsUnreachable},
        ErrorCase{"Internal", 500, "INTERNAL", "oops", Cause::kKmsUnreachable}),
    [](const auto& info) { return info.param.name; });

TEST_F(Gcp, StateIsAlsoReadFromTheViolation) {
  const json violation = {{"@type", "type.googleapis.com/google.rpc.PreconditionFailure"},
                          {"violations", {{{"type", "KEY_DISABLED"}, {"subject", "projects/p"}}}}};
  EXPECT_EQ(CauseOf(Refused(GoogleError(400, "FAILED_PRECONDITION", "no", violation))), Cause::kKmsDisabled);
}

TEST_F(Gcp, AnswersThatAreNotGooglesAreCorruptOrUnreachable) {
  EXPECT_EQ(CauseOf(Refused(Answer(404, "<html>no such page</html>"))), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Refused(Answer(502, "<html>bad gateway</html>"))), Cause::kKmsUnreachable);
  EXPECT_EQ(CauseOf(Refused(Answer(200, "<html>welcome</html>"))), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Refused(Answer(200, ""))), Cause::kKmsCorrupt);
}

TEST_F(Gcp, TokenAnswersAreChecked) {
  for (const char* body :
       {"{}", "[]", R"({"access_token":"a b","expires_in":60})",
        R"({"access_token":"a\r\nX: y","expires_in":60})", R"({"access_token":"a"})",
        R"({"access_token":"a","expires_in":-1})", R"({"access_token":7,"expires_in":60})"}) {
    gcp_.On("/token", [body](const auto&) { return Answer(200, body); });
    provider_.reset();
    EXPECT_EQ(CauseOf(Wrap(Open()).status()), Cause::kKmsCorrupt) << body;
  }
  gcp_.On("/token", [](const auto&) {
    return Answer(400, R"({"error":"invalid_grant","error_description":"Invalid JWT Signature."})");
  });
  provider_.reset();
  const Status status = Wrap(Open()).status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsBadCredentials);
  EXPECT_THAT(Message(status), HasSubstr("Invalid JWT Signature"));
}

TEST_F(Gcp, ThrottledIsTriedAgainAsLongAsGoogleAsks) {
  int left = 2;
  gcp_.On(":encrypt", [&](const FakeGcp::Seen& seen) {
    if (left-- == 0) return Answer(200, gcp_.Encrypted(seen).dump());
    HttpResponse answer = GoogleError(429, "RESOURCE_EXHAUSTED", "Quota exceeded");
    answer.headers["retry-after"] = "7";
    return answer;
  });
  EXPECT_TRUE(Wrap(Open()).ok());
  EXPECT_THAT(sleeper_.waits, ::testing::ElementsAre(absl::Seconds(7), absl::Seconds(7)));
}

TEST_F(Gcp, CheckPassesWithTheRoleAloneAndNamesWhatIsMissing) {
  EXPECT_TRUE(Open().Check("us-east1", context_, kBudget).Usable());
  EXPECT_TRUE(Open().Describe(kBudget).ok());
  gcp_.On(":decrypt", [](const auto&) { return GoogleError(403, "PERMISSION_DENIED", "no"); });
  const Status status = Open().Check("us-east1", context_, kBudget).ToStatus();
  EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
  EXPECT_THAT(Message(status), HasSubstr("cloudkms.cryptoKeyVersions.useToDecrypt"));
  EXPECT_THAT(Message(status), Not(HasSubstr("useToEncrypt")));
  EXPECT_THAT(Message(status),
              HasSubstr(std::string("gcloud kms keys add-iam-policy-binding key --keyring ring --location "
                                    "us-east1 --project customer-1 --member serviceAccount:") +
                        FakeGcp::kAccount));
}

TEST_F(Gcp, CheckLooksAtTheKeyWhereItMay) {
  const auto key = [&](const json& more) {
    gcp_.On("/cryptoKeys/key", [more](const auto&) {
      json body = {{"name", FakeGcp::kKey}, {"purpose", "ENCRYPT_DECRYPT"}};
      body.update(more);
      return Answer(200, body.dump());
    });
    return CauseOf(Open().Check("us-east1", context_, kBudget).ToStatus());
  };
  EXPECT_EQ(key({{"purpose", "ASYMMETRIC_SIGN"}}), Cause::kKmsWrongKey);
  EXPECT_EQ(key(json::object()), Cause::kKmsDisabled);
  EXPECT_EQ(key({{"primary", {{"state", "DISABLED"}}}}), Cause::kKmsDisabled);
  EXPECT_EQ(key({{"primary", {{"state", "DESTROY_SCHEDULED"}}}}), Cause::kKmsPendingDeletion);
  EXPECT_EQ(key({{"name", "projects/other"}}), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Open().Check("europe-west1", context_, kBudget).ToStatus()), Cause::kKmsWrongKey);
}

struct UriCase {
  const char* uri;
  bool valid;
};

TEST(GcpKeySpecs, AreNamesAndNothingElse) {
  const UriCase cases[] = {
      {FakeGcp::kKey, true},
      {"projects/example.com:my-project/locations/global/keyRings/R_1/cryptoKeys/K-2", true},
      {"projects/customer-1/locations/us-east1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", false},
      {"projects/123456789012/locations/us-east1/keyRings/r/cryptoKeys/k", false},
      {"/projects/customer-1/locations/us-east1/keyRings/r/cryptoKeys/k", false},
      {"projects/customer-1/locations/us-east1/keyRings/r/cryptoKeys/k/", false},
      {"projects/customer-1/locations/us-east1/keyRings/r/cryptoKeys/k:decrypt", false},
      {"projects/customer-1/locations/us-east1/keyRings/r/cryptoKeys/k?x=y", false},
      {"projects/customer-1/locations/us-east1/keyRings/r/cryptoKeys/..", false},
      {"projects/customer-1/locations/us-east1/keyRings/%2e%2e/cryptoKeys/k", false},
      {"projects/customer-1/locations/us-east1@evil.example/keyRings/r/cryptoKeys/k", false},
      {"projects/customer-1/locations/us east1/keyRings/r/cryptoKeys/k", false},
      {"https://cloudkms.googleapis.com/v1/projects/customer-1/locations/l/keyRings/r/cryptoKeys/k", false},
      {"projects/customer-1/locations/us-east1/keyRings/\xd0\xb0/cryptoKeys/k", false},
      {"projects//locations/us-east1/keyRings/r/cryptoKeys/k", false},
      {"", false}};
  for (const UriCase& c : cases) EXPECT_EQ(MakeKeySpec("GCP_CLOUD_KMS", c.uri, "").ok(), c.valid) << c.uri;
}

TEST(GcpKeySpecs, PrincipalsAreServiceAccounts) {
  for (const char* good : {FakeGcp::kAccount, "123-compute@developer.gserviceaccount.com",
                           "my-project@appspot.gserviceaccount.com"}) {
    EXPECT_TRUE(MakeKeySpec("GCP_CLOUD_KMS", FakeGcp::kKey, good).ok()) << good;
  }
  for (const char* bad : {"ana@example.com", "x@evil.example/.iam.gserviceaccount.com",
                          "serviceAccount:k@p.iam.gserviceaccount.com", "k@.iam.gserviceaccount.com", "@",
                          "a@b@c", "k%2f@p.iam.gserviceaccount.com"}) {
    EXPECT_EQ(CauseOf(MakeKeySpec("GCP_CLOUD_KMS", FakeGcp::kKey, bad).status()), Cause::kInvalidArgument)
        << bad;
  }
}

TEST(GcpKeySpecs, GlobalKeysServeEveryRegion) {
  const auto spec =
      *MakeKeySpec("GCP_CLOUD_KMS", "projects/customer-1/locations/global/keyRings/r/cryptoKeys/k", "");
  EXPECT_TRUE(CheckRegion(spec, "us-east1").ok());
  const auto regional = *MakeKeySpec("GCP_CLOUD_KMS", FakeGcp::kKey, "");
  EXPECT_EQ(RegionOf(regional), "us-east1");
  EXPECT_EQ(CauseOf(CheckRegion(regional, "us-east4")), Cause::kKmsWrongKey);
}

}  // namespace
}  // namespace keyhold::kms
