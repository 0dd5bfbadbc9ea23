// Azure Key Vault over a scripted transport: what is sent, how answers are verified, what errors mean.
#include "kms/azure/azure_kms.h"

#include "crypto/hash.h"
#include "kms/azure/wrap_record.h"
#include "tests/kms/fake_azure.h"
#include "tests/kms/fixture.h"

namespace keyhold::kms {
namespace {

using testing::Answer;
using testing::FakeAzure;
using ::testing::HasSubstr;
using testing::LoginError;
using ::testing::Not;
using testing::VaultError;

using Seen = FakeAzure::Seen;

class Azure : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(crypto::InitSecretMemory().ok()); }

  Kms& Open(const std::string& uri = FakeAzure::kKey, const std::string& tenant = "") {
    if (provider_ == nullptr) {
      provider_ = NewProvider({environment_, "", "", SystemPosix(), clock_, crypto::SystemRandom(), sleeper_},
                              azure_);
    }
    auto kms = provider_->Open({KeyType::kAzureKeyVault, uri, tenant});
    EXPECT_TRUE(kms.ok()) << kms.status();
    kms_ = *std::move(kms);
    return *kms_;
  }
  Kms& Key() { return kms_ == nullptr ? Open() : *kms_; }

  StatusOr<std::string> Wrap(const std::string& secret = std::string(32, 's')) {
    return BytesOf(Key().Wrap(crypto::AsBytes(secret), context_, kBudget));
  }
  StatusOr<crypto::SecretBytes> Unwrap(const std::string& wrapped) {
    return Key().Unwrap(crypto::AsBytes(wrapped), context_, kBudget);
  }
  Status UnwrapStatus(const std::string& wrapped, absl::Duration budget = kBudget) {
    return Key().Unwrap(crypto::AsBytes(wrapped), context_, budget).status();
  }
  CheckReport Check(const std::string& region = "eastus") { return Key().Check(region, context_, kBudget); }
  const Seen& Last() const { return azure_.seen().back(); }

  const Context context_ = {{"keyhold:cluster", "c1"}, {"keyhold:store", "s1"}};
  Environment environment_ = {{"AZURE_TENANT_ID", FakeAzure::kTenant},
                              {"AZURE_CLIENT_ID", "99999999-8888-7777-6666-555555555555"},
                              {"AZURE_CLIENT_SECRET", "s3cr&t"}};
  testing::FakeClock clock_;
  ClockSleeper sleeper_{clock_};
  FakeAzure azure_;
  std::unique_ptr<KmsProvider> provider_;
  std::unique_ptr<Kms> kms_;
};

TEST_F(Azure, AsksWhoToAskThenWraps) {
  const auto wrapped = Wrap();
  ASSERT_TRUE(wrapped.ok()) << wrapped.status();
  ASSERT_EQ(azure_.seen().size(), 3);
  const Seen& challenge = azure_.seen()[0];
  EXPECT_EQ(challenge.action, "challenge");
  EXPECT_EQ(challenge.body, "")
      << "nothing secret goes to who has not been verified to be a vault of the tenant";
  const Seen& token = azure_.seen()[1];
  EXPECT_EQ(token.host, "login.microsoftonline.com");
  EXPECT_EQ(token.path, std::string("/") + FakeAzure::kTenant + "/oauth2/v2.0/token");
  EXPECT_EQ(
      token.body,
      "client_secret=s3cr%26t&client_id=99999999-8888-7777-6666-555555555555&grant_type=client_credentials&"
      "scope=https%3A%2F%2Fvault.azure.net%2F.default");
  EXPECT_EQ(Last().host, FakeAzure::kHost);
  EXPECT_EQ(Last().path, "/keys/cmek/wrapkey?api-version=7.4");
  EXPECT_EQ(Last().bearer, "token-1");
  EXPECT_EQ(nlohmann::json::parse(Last().body)["alg"], "RSA-OAEP-256");
}

TEST_F(Azure, UnwrapsWithTheVersionThatWrapped) {
  const std::string wrapped = *Wrap();
  azure_.version = std::string(32, 'b');
  ASSERT_TRUE(Unwrap(wrapped).ok());
  EXPECT_EQ(Last().path, std::string("/keys/cmek/") + FakeAzure::kVersion + "/unwrapkey?api-version=7.4");
  const std::string newer = *Wrap();
  EXPECT_EQ(azure::DecodeRecord(crypto::AsBytes(newer))->version, azure_.version) << "the newest wraps";
  EXPECT_TRUE(Unwrap(newer).ok());
}

TEST_F(Azure, APinnedVersionIsTheOnlyOne) {
  const std::string wrapped = *Wrap();
  azure_.version = std::string(32, 'b');
  const std::string newer = *Wrap();
  Open(FakeAzure::Kid(FakeAzure::kVersion));
  EXPECT_TRUE(Unwrap(wrapped).ok());
  EXPECT_EQ(CauseOf(UnwrapStatus(newer)), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Wrap().status()), Cause::kKmsCorrupt) << "the vault wrapped by another version";
}

TEST_F(Azure, OneTokenServesUntilItEnds) {
  const std::string wrapped = *Wrap();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Unwrap(wrapped).ok());
  EXPECT_EQ(azure_.Count("token"), 1);
  EXPECT_EQ(azure_.Count("challenge"), 1);
  clock_.Advance(absl::Minutes(57));
  ASSERT_TRUE(Unwrap(wrapped).ok());
  EXPECT_EQ(azure_.Count("token"), 2) << "renewed before it ends";
  EXPECT_EQ(Last().bearer, "token-2");
}

TEST_F(Azure, AValidTokenServesWhileTheLoginIsAway) {
  const std::string wrapped = *Wrap();
  azure_.On("token", [](const Seen&) { return Error(Cause::kKmsUnreachable, "down"); });
  clock_.Advance(absl::Minutes(57));
  EXPECT_TRUE(Unwrap(wrapped).ok());
  clock_.Advance(absl::Minutes(5));
  EXPECT_EQ(CauseOf(UnwrapStatus(wrapped, absl::Seconds(1))), Cause::kKmsUnreachable);
}

TEST_F(Azure, ARefusedTokenIsReplacedOnce) {
  const std::string wrapped = *Wrap();
  azure_.On("unwrapkey", [&](const Seen& seen) -> StatusOr<HttpResponse> {
    return seen.bearer == "token-1" ? azure_.Challenge() : azure_.Serve(seen);
  });
  EXPECT_TRUE(Unwrap(wrapped).ok());
  EXPECT_EQ(azure_.Count("token"), 2);
  azure_.On("unwrapkey", [&](const Seen&) { return azure_.Challenge(); });
  const Status status = UnwrapStatus(wrapped);
  EXPECT_EQ(CauseOf(status), Cause::kKmsBadCredentials);
  EXPECT_LE(azure_.Count("token"), 4) << "no storm of logins";
}

TEST_F(Azure, AVaultOfAnotherTenantIsNotTold) {
  azure_.challenge =
      R"(Bearer authorization="https://login.microsoftonline.com/22222222-2222-3333-4444-555555555555")"
      R"(, resource="https://vault.azure.net")";
  const Status status = Wrap().status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsBadCredentials);
  EXPECT_THAT(std::string(status.message()), HasSubstr("22222222-2222-3333-4444-555555555555"));
  EXPECT_EQ(azure_.Count("token"), 0);
  Open(FakeAzure::kKey, "22222222-2222-3333-4444-555555555555");
  EXPECT_TRUE(Wrap().ok()) << "auth_principal names the tenant";
}

TEST_F(Azure, AChallengeLeadsToNoOtherHost) {
  azure_.challenge = R"(Bearer authorization="https://evil.example/11111111-2222-3333-4444-555555555555")"
                     R"(, resource="https://vault.azure.net")";
  EXPECT_EQ(CauseOf(Wrap().status()), Cause::kKmsCorrupt);
  for (const Seen& seen : azure_.seen()) EXPECT_EQ(seen.host, FakeAzure::kHost);
}

TEST_F(Azure, AVaultThatAsksNothingIsNone) {
  azure_.On("challenge", [&](const Seen&) { return FakeAzure::Vault({{"key", azure_.key}}); });
  EXPECT_EQ(CauseOf(Wrap().status()), Cause::kKmsCorrupt);
}

TEST_F(Azure, BindsToTheContextInsideTheWrap) {
  const std::string wrapped = *Wrap();
  EXPECT_EQ(CauseOf(Key().Unwrap(crypto::AsBytes(wrapped), {{"keyhold:cluster", "c2"}}, kBudget).status()),
            Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Key().Unwrap(crypto::AsBytes(wrapped), {}, kBudget).status()), Cause::kKmsCorrupt);
}

TEST_F(Azure, HoldsWhatRsa2048Holds) {
  const std::string largest(azure::kMaxWrappable, 's');
  const auto wrapped = Wrap(largest);
  ASSERT_TRUE(wrapped.ok()) << wrapped.status();
  EXPECT_EQ(Unwrap(*wrapped)->ExposeText(), largest);
  EXPECT_EQ(CauseOf(Wrap(largest + "s").status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(Wrap("").status()), Cause::kInvalidArgument);
}

TEST_F(Azure, AnswersOfAnotherKeyAreRefused) {
  const std::string wrapped = *Wrap();
  const std::string value = std::string(342, 'A');
  for (const std::string& kid :
       {std::string("https://other.vault.azure.net/keys/cmek/") + FakeAzure::kVersion,
        std::string("https://demo-vault.vault.azure.net/keys/other/") + FakeAzure::kVersion,
        FakeAzure::Kid(std::string(32, 'c')), std::string("x")}) {
    azure_.On("unwrapkey", [&](const Seen&) { return FakeAzure::Vault({{"kid", kid}, {"value", value}}); });
    EXPECT_EQ(CauseOf(UnwrapStatus(wrapped)), Cause::kKmsCorrupt) << kid;
  }
}

TEST_F(Azure, GarbageIsCorrupt) {
  const std::string wrapped = *Wrap();
  const std::string kid = FakeAzure::Kid(FakeAzure::kVersion);
  for (const std::string& body :
       {std::string(), std::string("<html>"), std::string("[]"), std::string("{}"),
        nlohmann::json{{"kid", kid}}.dump(), nlohmann::json{{"kid", kid}, {"value", 7}}.dump(),
        nlohmann::json{{"kid", kid}, {"value", "a+b/"}}.dump(),
        nlohmann::json{{"kid", kid}, {"value", "AA"}}.dump(),
        nlohmann::json{{"kid", kid}, {"value", std::string(100, 'A')}}.dump()}) {
    azure_.On("unwrapkey", [&](const Seen&) { return Answer(200, body); });
    EXPECT_EQ(CauseOf(UnwrapStatus(wrapped)), Cause::kKmsCorrupt) << body;
  }
}

struct Refusal {
  const char* name;
  int status;
  const char* code;
  const char* message;
  const char* inner;
  Cause cause;
  const char* advice;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class Refusals : public Azure, public ::testing::WithParamInterface<Refusal> {};

TEST_P(Refusals, HaveTheirCause) {
  const std::string wrapped = *Wrap();
  const Refusal& refusal = GetParam();
  azure_.On("unwrapkey", [&](const Seen&) {
    return VaultError(refusal.status, refusal.code, refusal.message, refusal.inner);
  });
  const Status status = UnwrapStatus(wrapped, absl::Seconds(2));
  EXPECT_EQ(CauseOf(status), refusal.cause) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(refusal.advice));
  EXPECT_THAT(std::string(status.message()), HasSubstr(FakeAzure::kKey));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("token-1")));
}

constexpr char kNoPolicy[] =
    "The user, group or application "
    "'appid=a;oid=33333333-3333-3333-3333-333333333333;iss=https://sts.windows.net/x/' "
    "does not have keys unwrapKey permission on key vault 'demo-vault;location=eastus'.";
INSTANTIATE_TEST_SUITE_P(
    Codes, Refusals,
    ::testing::Values(
        Refusal{"AccessPolicy", 403, "Forbidden", kNoPolicy, "AccessDenied", Cause::kKmsDenied,
                "az keyvault set-policy --name demo-vault --object-id 33333333-3333-3333-3333-333333333333 "
                "--key-permissions get wrapKey unwrapKey"},
        Refusal{"Rbac", 403, "Forbidden", "Caller is not authorized to perform action on resource.",
                "ForbiddenByRbac", Cause::kKmsDenied, "Key Vault Crypto Service Encryption User"},
        Refusal{"Firewall", 403, "Forbidden", "Client address is not authorized", "ForbiddenByFirewall",
                Cause::kKmsDenied, "network rules"},
        Refusal{"Private", 403, "Forbidden", "Public network access is disabled", "ForbiddenByConnection",
                Cause::kKmsDenied, "network rules"},
        Refusal{"Disabled", 403, "Forbidden", "Operation unwrapKey is not allowed on a disabled key.",
                "KeyDisabled", Cause::kKmsDisabled, "enable the key"},
        Refusal{"DisabledInWords", 403, "Forbidden", "Operation unwrapKey is not allowed on a disabled key.",
                "", Cause::kKmsDisabled, "enable the key"},
        Refusal{"BeingDeleted", 409, "Conflict", "Key cmek is currently being deleted",
                "ObjectIsBeingDeleted", Cause::kKmsPendingDeletion, "recover"},
        Refusal{"Deleted", 409, "Conflict", "deleted but recoverable state", "ObjectIsDeletedButRecoverable",
                Cause::kKmsPendingDeletion, "recover"},
        Refusal{"Purged", 404, "KeyNotFound", "A key with (name/id) cmek was not found in this key vault.",
                "", Cause::kKmsKeyNotFound, "purged"},
        Refusal{"NotOurs", 400, "BadParameter", "Error occurred while decoding OAEP padding.", "",
                Cause::kKmsCorrupt, "damaged"},
        Refusal{"Throttled", 429, "Throttled", "too many requests", "", Cause::kKmsThrottled, "Throttled"},
        Refusal{"Internal", 500, "InternalServerError", "oops", "", Cause::kKmsUnreachable, "oops"},
        Refusal{"Unavailable", 503, "ServiceUnavailable", "", "", Cause::kKmsUnreachable,
                "ServiceUnavailable"},
        Refusal{"Conflict", 409, "Conflict", "busy", "", Cause::kKmsUnreachable, "busy"},
        Refusal{"Unknown", 418, "Teapot", "", "", Cause::kKmsCorrupt, "Teapot"}),
    [](const auto& info) { return info.param.name; });

TEST_F(Azure, ADeletedKeyIsToldFromAPurgedOne) {
  const std::string wrapped = *Wrap();
  azure_.On("unwrapkey", [](const Seen&) { return VaultError(404, "KeyNotFound", "not found"); });
  azure_.On("deleted", [](const Seen&) { return FakeAzure::Vault({{"scheduledPurgeDate", 1798761600}}); });
  const Status deleted = UnwrapStatus(wrapped);
  EXPECT_EQ(CauseOf(deleted), Cause::kKmsPendingDeletion);
  EXPECT_THAT(std::string(deleted.message()), HasSubstr("2027-01-01T00:00:00"));
  EXPECT_THAT(std::string(deleted.message()),
              HasSubstr("az keyvault key recover --vault-name demo-vault --name cmek"));
  azure_.On("deleted", nullptr);
  EXPECT_EQ(CauseOf(UnwrapStatus(wrapped)), Cause::kKmsKeyNotFound);
}

TEST_F(Azure, OnlyWhatCanPassIsTriedAgain) {
  const std::string wrapped = *Wrap();
  azure_.On("unwrapkey", [](const Seen&) { return VaultError(403, "Forbidden", "", "AccessDenied"); });
  EXPECT_EQ(CauseOf(UnwrapStatus(wrapped)), Cause::kKmsDenied);
  EXPECT_EQ(azure_.Count("unwrapkey"), 1);
  int tries = 0;
  azure_.On("unwrapkey", [&](const Seen& seen) -> StatusOr<HttpResponse> {
    if (++tries > 2) return azure_.Serve(seen);
    HttpResponse busy = VaultError(429, "Throttled", "");
    busy.headers["retry-after"] = "3";
    return busy;
  });
  EXPECT_TRUE(Unwrap(wrapped).ok());
  ASSERT_EQ(sleeper_.waits.size(), 2);
  EXPECT_GE(sleeper_.waits[0], absl::Seconds(3)) << "the vault said how long";
}

struct Login {
  const char* name;
  int status;
  const char* code;
  const char* description;
  Cause cause;
};
void PrintTo(const Login& login, std::ostream* out) { *out << login.name; }

class Logins : public Azure, public ::testing::WithParamInterface<Login> {};

TEST_P(Logins, HaveTheirCause) {
  azure_.On("token", [&](const Seen&) {
    return LoginError(GetParam().code, GetParam().description, GetParam().status);
  });
  const Status status = Key().Wrap(crypto::AsBytes("s"), context_, absl::Seconds(2)).status();
  EXPECT_EQ(CauseOf(status), GetParam().cause) << status;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("s3cr")));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("Trace ID")));
}

INSTANTIATE_TEST_SUITE_P(
    Codes, Logins,
    ::testing::Values(
        Login{"WrongSecret", 401, "invalid_client",
              "AADSTS7000215: Invalid client secret provided. Trace ID: x", Cause::kKmsBadCredentials},
        Login{"ExpiredSecret", 401, "invalid_client",
              "AADSTS7000222: The provided client secret keys are expired.", Cause::kKmsBadCredentials},
        Login{"NoTenant", 400, "invalid_request", "AADSTS90002: Tenant 'x' not found.",
              Cause::kKmsBadCredentials},
        Login{"ThrownOut", 400, "unauthorized_client",
              "AADSTS700016: Application with identifier 'x' was not found in the directory 'y'.",
              Cause::kKmsDenied},
        Login{"AppDisabled", 400, "unauthorized_client", "AADSTS7000112: Application 'x' is disabled.",
              Cause::kKmsDenied},
        Login{"Throttled", 429, "temporarily_unavailable", "", Cause::kKmsThrottled},
        Login{"Down", 503, "server_error", "", Cause::kKmsUnreachable},
        Login{"Garbage", 400, "", "", Cause::kKmsCorrupt}),
    [](const auto& info) { return info.param.name; });

TEST_F(Azure, TokensThatAreNoneAreRefused) {
  for (const std::string body :
       {R"({})", R"({"access_token":"a b","expires_in":3600})",
        R"({"access_token":"a\r\nX: y","expires_in":3600})", R"({"access_token":"","expires_in":1})",
        R"({"access_token":"a"})", R"({"access_token":"a","expires_in":-1})",
        R"({"access_token":"a","expires_in":99999999999})", R"([])"}) {
    azure_.On("token", [&](const Seen&) { return Answer(200, body); });
    EXPECT_EQ(CauseOf(Wrap().status()), Cause::kKmsCorrupt) << body;
  }
  EXPECT_EQ(azure_.Count("wrapkey"), 0);
}

TEST_F(Azure, ChecksEachThingAlone) {
  const CheckReport report = Check();
  ASSERT_TRUE(report.Usable()) << report.ToStatus();
  std::vector<std::string> names;
  for (const CheckStep& step : report.steps) names.push_back(step.name);
  EXPECT_EQ(names, (std::vector<std::string>{"region", "get", "wrapKey", "unwrapKey"}));
}

TEST_F(Azure, TheVaultTellsItsRegion) {
  const Status status = Check("westeurope").ToStatus();
  EXPECT_EQ(CauseOf(status), Cause::kKmsWrongKey);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is in region eastus, the cluster is in westeurope"));
  EXPECT_EQ(azure_.Count("token"), 0) << "not even a token was needed";
}

TEST_F(Azure, KeysOfTheWrongKindAreNamed) {
  for (const std::string kind : {"EC", "EC-HSM", "oct-HSM"}) {
    azure_.key["kty"] = kind;
    const Status status = Check().ToStatus();
    EXPECT_EQ(CauseOf(status), Cause::kKmsWrongKey);
    EXPECT_THAT(std::string(status.message()), HasSubstr("is of type " + kind));
  }
  azure_.key["kty"] = "RSA";
  azure_.key["n"] = FakeAzure::Modulus(128);
  EXPECT_THAT(std::string(Check().ToStatus().message()), HasSubstr("is of type RSA 1024"));
  azure_.key["n"] = FakeAzure::Modulus(256);
  azure_.key["key_ops"] = {"sign", "verify"};
  EXPECT_THAT(std::string(Check().ToStatus().message()), HasSubstr("allows only the operations sign,verify"));
}

TEST_F(Azure, ADisabledKeyIsFoundBeforeItIsUsed) {
  azure_.attributes["enabled"] = false;
  EXPECT_EQ(CauseOf(Check().ToStatus()), Cause::kKmsDisabled);
  EXPECT_EQ(azure_.Count("wrapkey"), 0) << "wrapKey works on disabled keys: it proves nothing";
}

TEST_F(Azure, EachMissingGrantIsNamed) {
  azure_.On("get", [](const Seen&) { return VaultError(403, "Forbidden", kNoPolicy, "AccessDenied"); });
  azure_.On("unwrapkey", [](const Seen&) { return VaultError(403, "Forbidden", kNoPolicy, "AccessDenied"); });
  const CheckReport report = Check();
  ASSERT_EQ(report.steps.size(), 4);
  EXPECT_FALSE(report.steps[1].passed);
  EXPECT_TRUE(report.steps[2].passed);
  EXPECT_FALSE(report.steps[3].passed);
  EXPECT_EQ(CauseOf(report.ToStatus()), Cause::kKmsDenied);
}

TEST_F(Azure, AVaultThatUnwrapsToSomethingElseIsFoundOut) {
  azure_.On("unwrapkey", [&](const Seen& seen) -> StatusOr<HttpResponse> {
    const std::string version = seen.path.substr(11, 32);
    const crypto::SecretBytes other = azure::MakePlaintext(crypto::AsBytes(std::string(32, 'x')), context_);
    return FakeAzure::Vault({{"kid", FakeAzure::Kid(version)},
                             {"value", std::string(azure::EncodeBase64Url(other.Expose()).ExposeText())}});
  });
  EXPECT_EQ(CauseOf(Check().ToStatus()), Cause::kKmsCorrupt);
}

TEST_F(Azure, ManagedIdentityAsksTheMachine) {
  environment_ = {{"AZURE_CLIENT_ID", "99999999-8888-7777-6666-555555555555"}};
  ASSERT_TRUE(Wrap().ok());
  const auto asked = std::find_if(azure_.seen().begin(), azure_.seen().end(),
                                  [](const Seen& seen) { return seen.action == "metadata"; });
  ASSERT_NE(asked, azure_.seen().end());
  EXPECT_EQ(asked->host, "169.254.169.254");
  EXPECT_EQ(asked->path,
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&"
            "client_id=99999999-8888-7777-6666-555555555555");
  EXPECT_EQ(asked->headers.at("Metadata"), "true");
}

TEST_F(Azure, WorkloadIdentityReadsItsFileAgain) {
  testing::TempDir dir;
  const std::string path = dir.File("token");
  const auto write = [&](const std::string& text) {
    FILE* file = fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr);
    fputs(text.c_str(), file);
    fclose(file);
  };
  write("first.token.x\n");
  environment_.erase("AZURE_CLIENT_SECRET");
  environment_["AZURE_FEDERATED_TOKEN_FILE"] = path;
  ASSERT_TRUE(Wrap().ok());
  EXPECT_THAT(azure_.seen()[1].body, HasSubstr("client_assertion=first.token.x&"));
  EXPECT_THAT(azure_.seen()[1].body, HasSubstr("assertion-type%3Ajwt-bearer"));
  write("second.token.x");
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(Wrap().ok());
  EXPECT_THAT(azure_.seen()[3].body, HasSubstr("client_assertion=second.token.x&"));
  unlink(path.c_str());
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(CauseOf(Wrap().status()), Cause::kKmsBadCredentials);
}

TEST_F(Azure, CredentialsThatAreHalfThereAreTold) {
  environment_ = {{"AZURE_CLIENT_SECRET", "s"}};
  const Status status = Wrap().status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsBadCredentials);
  EXPECT_THAT(std::string(status.message()), HasSubstr("AZURE_CLIENT_ID"));
  provider_.reset();
  kms_.reset();
  environment_ = {{"AZURE_CLIENT_ID", "c"}, {"AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere/client.pem"}};
  EXPECT_THAT(std::string(Wrap().status().message()), HasSubstr("/nowhere/client.pem"));
}

// The worked example of docs/formats/azure-wrap.md.
TEST(AzureWrapRecord, PlaintextIsAsWrittenDown) {
  ASSERT_TRUE(crypto::InitSecretMemory().ok());
  const crypto::SecretBytes plaintext = azure::MakePlaintext(crypto::AsBytes("s"), {{"a", "b"}});
  EXPECT_EQ(crypto::Hex(plaintext.Expose()),
            "01"
            "e12e75854df913ec26c0e0163007c169ad78663c4b6091af08c47fbf35de4437"
            "73");
  EXPECT_EQ(azure::OpenPlaintext(plaintext.Expose(), {{"a", "b"}})->ExposeText(), "s");
  EXPECT_EQ(CauseOf(azure::OpenPlaintext(plaintext.Expose(), {{"a", "c"}}).status()), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(azure::OpenPlaintext(plaintext.Expose().first(33), {{"a", "b"}}).status()),
            Cause::kKmsCorrupt);
}

TEST(AzureWrapRecord, OnlyItsOwnFormIsRead) {
  using azure::DecodeRecord;
  const std::string good = azure::EncodeRecord({std::string(32, 'a'), std::string(256, 'c')});
  ASSERT_EQ(good.size(), azure::kRecordHeaderSize + 256);
  ASSERT_TRUE(DecodeRecord(crypto::AsBytes(good)).ok());
  std::string other_format = good, other_algorithm = good, other_version = good;
  other_format[0] = 2;
  other_algorithm[1] = 2;
  other_version[5] = '/';
  for (const std::string& bad : {std::string(), good.substr(0, good.size() - 1), good + std::string(300, 'x'),
                                 other_format, other_algorithm, other_version}) {
    EXPECT_EQ(CauseOf(DecodeRecord(crypto::AsBytes(bad)).status()), Cause::kKmsCorrupt);
  }
}

}  // namespace
}  // namespace keyhold::kms
