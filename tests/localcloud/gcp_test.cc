// Google's services in the local cloud: what they answer, to whom, and what is there after a restart.
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/crc32c.h"
#include "crypto/secret.h"
#include "tests/localcloud/gcp_client.h"

namespace keyhold::localcloud {
namespace {

using gcp::GcpAnswer;
using gcp::GcpClient;

constexpr char kKms[] = "cloudkms.googleapis.com";

std::string Crc(const std::string& bytes) { return absl::StrCat(Crc32c(crypto::AsBytes(bytes))); }

class GcpTest : public testing::Test {
 protected:
  GcpClient Customer() { return GcpClient::WithKeyFile(cloud_, "customer/gcp-key.json"); }
  GcpClient Platform() { return GcpClient::WithKeyFile(cloud_, "platform/gcp-key.json"); }
  std::string project() const {
    return Json::parse(ReadFile(cloud_.File("customer.json")))["gcp"]["project"].get<std::string>();
  }
  std::string platform() const {
    return Json::parse(ReadFile(cloud_.File("principals.json")))["gcp"]["service_account"].get<std::string>();
  }
  std::string Location() const { return "projects/" + project() + "/locations/us-east1"; }

  // A key "k" in a ring "r".
  std::string NewKey(const Json& body = {{"purpose", "ENCRYPT_DECRYPT"}}) {
    const GcpClient customer = Customer();
    customer.Post(kKms, Location() + "/keyRings?keyRingId=r", Json::object());
    const GcpAnswer made = customer.Post(kKms, Location() + "/keyRings/r/cryptoKeys?cryptoKeyId=k", body);
    EXPECT_EQ(made.status, 200) << made.text;
    return Location() + "/keyRings/r/cryptoKeys/k";
  }

  GcpAnswer Grant(const std::string& key,
                  const std::string& role = "roles/cloudkms.cryptoKeyEncrypterDecrypter",
                  Json condition = nullptr) {
    Json binding = {{"role", role}, {"members", {"serviceAccount:" + platform()}}};
    if (!condition.is_null()) binding["condition"] = std::move(condition);
    return Customer().Post(kKms, key + ":setIamPolicy",
                           {{"policy", {{"version", 3}, {"bindings", {std::move(binding)}}}}});
  }

  static Json EncryptBody(const std::string& plaintext, const std::string& aad = "") {
    return {{"plaintext", absl::Base64Escape(plaintext)},
            {"plaintextCrc32c", Crc(plaintext)},
            {"additionalAuthenticatedData", absl::Base64Escape(aad)},
            {"additionalAuthenticatedDataCrc32c", Crc(aad)}};
  }
  static Json DecryptBody(const Json& encrypted, const std::string& aad = "") {
    return {{"ciphertext", encrypted["ciphertext"]},
            {"ciphertextCrc32c", encrypted["ciphertextCrc32c"]},
            {"additionalAuthenticatedData", absl::Base64Escape(aad)}};
  }
  static void ExpectError(const GcpAnswer& answer, int status, const std::string& code,
                          const std::string& words = "") {
    EXPECT_EQ(answer.status, status) << answer.text;
    EXPECT_EQ(answer.code, code) << answer.text;
    EXPECT_NE(answer.message.find(words), std::string::npos) << answer.text;
  }

  TestCloud cloud_;
};

TEST_F(GcpTest, KeysComeWithAPrimaryVersion) {
  const std::string key = NewKey();
  const Json got = Customer().Get(kKms, key).body;
  EXPECT_EQ(got["name"], key);
  EXPECT_EQ(got["purpose"], "ENCRYPT_DECRYPT");
  EXPECT_EQ(got["primary"]["name"], key + "/cryptoKeyVersions/1");
  EXPECT_EQ(got["primary"]["state"], "ENABLED");
  EXPECT_EQ(got["versionTemplate"]["algorithm"], "GOOGLE_SYMMETRIC_ENCRYPTION");
  EXPECT_EQ(got["destroyScheduledDuration"], "2592000s");
}

TEST_F(GcpTest, EncryptsAndDecryptsWithChecksums) {
  const std::string key = NewKey();
  const GcpAnswer encrypted = Customer().Post(kKms, key + ":encrypt", EncryptBody("attack at dawn", "aad"));
  ASSERT_EQ(encrypted.status, 200) << encrypted.text;
  std::string blob;
  ASSERT_TRUE(absl::Base64Unescape(encrypted.body["ciphertext"].get<std::string>(), &blob));
  EXPECT_EQ(encrypted.body["ciphertextCrc32c"], Crc(blob));
  EXPECT_EQ(encrypted.body["verifiedPlaintextCrc32c"], true);
  EXPECT_EQ(encrypted.body["verifiedAdditionalAuthenticatedDataCrc32c"], true);
  EXPECT_EQ(encrypted.body["name"], key + "/cryptoKeyVersions/1");
  const GcpAnswer opened = Customer().Post(kKms, key + ":decrypt", DecryptBody(encrypted.body, "aad"));
  ASSERT_EQ(opened.status, 200) << opened.text;
  EXPECT_EQ(opened.body["plaintext"], absl::Base64Escape("attack at dawn"));
  EXPECT_EQ(opened.body["plaintextCrc32c"], Crc("attack at dawn"));
  EXPECT_EQ(opened.body["usedPrimary"], true);
  ExpectError(Customer().Post(kKms, key + ":decrypt", DecryptBody(encrypted.body, "other")), 400,
              "INVALID_ARGUMENT", "Decryption failed");
}

TEST_F(GcpTest, WrongChecksumsAreRefused) {
  const std::string key = NewKey();
  Json body = EncryptBody("x");
  body["plaintextCrc32c"] = "1";
  ExpectError(Customer().Post(kKms, key + ":encrypt", body), 400, "INVALID_ARGUMENT",
              "The checksum in field plaintext_crc32c did not match");
  body.erase("plaintextCrc32c");
  const GcpAnswer without = Customer().Post(kKms, key + ":encrypt", body);
  EXPECT_EQ(without.status, 200);
  EXPECT_FALSE(without.body.contains("verifiedPlaintextCrc32c"));
}

TEST_F(GcpTest, VersionsGoThroughTheirStates) {
  const std::string key = NewKey(), version = key + "/cryptoKeyVersions/1";
  const GcpClient customer = Customer();
  const Json encrypted = customer.Post(kKms, key + ":encrypt", EncryptBody("x")).body;
  EXPECT_EQ(customer.Patch(kKms, version + "?updateMask=state", {{"state", 2}}).body["state"], "DISABLED");
  const GcpAnswer refused = customer.Post(kKms, key + ":decrypt", DecryptBody(encrypted));
  ExpectError(refused, 400, "FAILED_PRECONDITION", version + " is not enabled, current state is: DISABLED.");
  EXPECT_EQ(refused.body["error"]["details"][0]["violations"][0]["type"], "KEY_DISABLED");
  EXPECT_EQ(customer.Patch(kKms, version + "?updateMask=state", {{"state", "ENABLED"}}).status, 200);
  EXPECT_EQ(customer.Post(kKms, key + ":decrypt", DecryptBody(encrypted)).status, 200);

  EXPECT_EQ(customer.Post(kKms, version + ":destroy", Json::object()).body["state"], "DESTROY_SCHEDULED");
  ExpectError(customer.Post(kKms, key + ":decrypt", DecryptBody(encrypted)), 400, "FAILED_PRECONDITION",
              "DESTROY_SCHEDULED");
  EXPECT_EQ(customer.Post(kKms, version + ":restore", Json::object()).body["state"], "DISABLED");
  customer.Post(kKms, version + ":destroy", Json::object());
  cloud_.clock().Advance(absl::Hours(30 * 24 + 1));
  const GcpClient later = Customer();
  const Json gone = later.Get(kKms, version).body;
  EXPECT_EQ(gone["state"], "DESTROYED");
  EXPECT_TRUE(gone.contains("destroyEventTime"));
  ExpectError(later.Post(kKms, key + ":decrypt", DecryptBody(encrypted)), 400, "FAILED_PRECONDITION",
              "DESTROYED");
  ExpectError(later.Post(kKms, version + ":restore", Json::object()), 400, "FAILED_PRECONDITION",
              "DESTROYED");
}

TEST_F(GcpTest, NewVersionsEncryptAndOldOnesStillDecrypt) {
  const std::string key = NewKey();
  const GcpClient customer = Customer();
  const Json old = customer.Post(kKms, key + ":encrypt", EncryptBody("x")).body;
  EXPECT_EQ(customer.Post(kKms, key + "/cryptoKeyVersions", Json::object()).body["name"],
            key + "/cryptoKeyVersions/2");
  EXPECT_EQ(customer.Post(kKms, key + ":updatePrimaryVersion", {{"cryptoKeyVersionId", "2"}}).status, 200);
  EXPECT_EQ(customer.Post(kKms, key + ":encrypt", EncryptBody("y")).body["name"],
            key + "/cryptoKeyVersions/2");
  const GcpAnswer opened = customer.Post(kKms, key + ":decrypt", DecryptBody(old));
  EXPECT_EQ(opened.status, 200);
  EXPECT_FALSE(opened.body.contains("usedPrimary"));
  ExpectError(customer.Post(kKms, key + ":updatePrimaryVersion", {{"cryptoKeyVersionId", "9"}}), 404,
              "NOT_FOUND");
}

TEST_F(GcpTest, KeysRotateWhenTheirTimeComes) {
  const std::string next =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", cloud_.clock().Now() + absl::Hours(48), absl::UTCTimeZone());
  const std::string key =
      NewKey({{"purpose", "ENCRYPT_DECRYPT"}, {"rotationPeriod", "172800s"}, {"nextRotationTime", next}});
  EXPECT_EQ(Customer().Get(kKms, key).body["primary"]["name"], key + "/cryptoKeyVersions/1");
  cloud_.clock().Advance(absl::Hours(49));
  EXPECT_EQ(Customer().Get(kKms, key).body["primary"]["name"], key + "/cryptoKeyVersions/2");
}

TEST_F(GcpTest, OnlyWhoIsGrantedMayUseAKey) {
  const std::string key = NewKey();
  const GcpAnswer refused = Platform().Post(kKms, key + ":encrypt", EncryptBody("x"));
  ExpectError(refused, 403, "PERMISSION_DENIED",
              "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '" + key + "'");
  EXPECT_EQ(refused.body["error"]["details"][0]["reason"], "IAM_PERMISSION_DENIED");
  ASSERT_EQ(Grant(key).status, 200);
  EXPECT_EQ(Platform().Post(kKms, key + ":encrypt", EncryptBody("x")).status, 200);
  ExpectError(Platform().Get(kKms, key), 403, "PERMISSION_DENIED", "cloudkms.cryptoKeys.get");
  const GcpAnswer has = Platform().Post(
      kKms, key + ":testIamPermissions",
      {{"permissions", {"cloudkms.cryptoKeyVersions.useToDecrypt", "cloudkms.cryptoKeys.get"}}});
  EXPECT_EQ(has.body["permissions"], Json::array({"cloudkms.cryptoKeyVersions.useToDecrypt"}));
  ASSERT_EQ(Grant(key, "roles/cloudkms.cryptoKeyEncrypter").status, 200);
  ExpectError(Platform().Post(kKms, key + ":decrypt", {{"ciphertext", "AAAA"}}), 403, "PERMISSION_DENIED",
              "useToDecrypt");
}

TEST_F(GcpTest, AnotherProjectsKeysLookLikeNone) {
  ExpectError(Platform().Get(kKms, Location() + "/keyRings/none"), 403, "PERMISSION_DENIED", "may not exist");
  ExpectError(Customer().Get(kKms, Location() + "/keyRings/none"), 404, "NOT_FOUND");
}

TEST_F(GcpTest, PoliciesAreReplacedOnlyAsTheyWereRead) {
  const std::string key = NewKey();
  const Json first = Customer().Get(kKms, key + ":getIamPolicy?options.requestedPolicyVersion=3").body;
  EXPECT_EQ(first["etag"], "ACAB");
  Json policy = {{"etag", first["etag"]},
                 {"bindings", {{{"role", "roles/cloudkms.viewer"}, {"members", {"user:ana@example.com"}}}}}};
  const GcpAnswer set = Customer().Post(kKms, key + ":setIamPolicy", {{"policy", policy}});
  ASSERT_EQ(set.status, 200) << set.text;
  ExpectError(Customer().Post(kKms, key + ":setIamPolicy", {{"policy", policy}}), 409, "ABORTED",
              "There were concurrent policy changes");
  policy["etag"] = set.body["etag"];
  EXPECT_EQ(Customer().Post(kKms, key + ":setIamPolicy", {{"policy", policy}}).status, 200);
}

TEST_F(GcpTest, AnEtagIsTheSameInEitherBase64) {
  const std::string key = NewKey();
  std::string etag;
  while (!absl::StrContains(etag, '/') && !absl::StrContains(etag, '+')) {
    const GcpAnswer set =
        Customer().Post(kKms, key + ":setIamPolicy", {{"policy", {{"bindings", Json::array()}}}});
    ASSERT_EQ(set.status, 200) << set.text;
    etag = set.body["etag"];
  }
  absl::StrReplaceAll({{"/", "_"}, {"+", "-"}, {"=", ""}}, &etag);
  EXPECT_EQ(Customer().Post(kKms, key + ":setIamPolicy", {{"policy", {{"etag", etag}}}}).status, 200);
}

TEST_F(GcpTest, PoliciesThatMeanNothingAreRefused) {
  const std::string key = NewKey();
  ExpectError(Grant(key, "roles/none"), 400, "INVALID_ARGUMENT", "roles/none");
  const auto set = [&](const std::string& member) {
    return Customer().Post(
        kKms, key + ":setIamPolicy",
        {{"policy", {{"bindings", {{{"role", "roles/cloudkms.viewer"}, {"members", {member}}}}}}}});
  };
  ExpectError(set("ana@example.com"), 400, "INVALID_ARGUMENT", "type prefix");
  ExpectError(set("serviceAccount:none@" + project() + ".iam.gserviceaccount.com"), 400, "INVALID_ARGUMENT",
              "does not exist");
  EXPECT_EQ(set("serviceAccount:x@another-project.iam.gserviceaccount.com").status, 200);
}

TEST_F(GcpTest, ConditionsHoldByTimeAndName) {
  const std::string key = NewKey();
  const std::string until =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", cloud_.clock().Now() + absl::Minutes(30), absl::UTCTimeZone());
  const std::string role = "roles/cloudkms.cryptoKeyEncrypterDecrypter";
  const auto expression = [&](const std::string& text) { return Json{{"title", "t"}, {"expression", text}}; };
  ASSERT_EQ(Grant(key, role, expression("request.time < timestamp('" + until + "')")).status, 200);
  EXPECT_EQ(Platform().Post(kKms, key + ":encrypt", EncryptBody("x")).status, 200);
  cloud_.clock().Advance(absl::Minutes(31));
  ExpectError(Platform().Post(kKms, key + ":encrypt", EncryptBody("x")), 403, "PERMISSION_DENIED");
  ASSERT_EQ(Grant(key, role, expression("resource.name.endsWith('/cryptoKeys/k')")).status, 200);
  EXPECT_EQ(Platform().Post(kKms, key + ":encrypt", EncryptBody("x")).status, 200);
  EXPECT_EQ(Customer().Get(kKms, key + ":getIamPolicy").body["version"], 1);
  ExpectError(Grant(key, role, expression("request.auth.claims == 'x'")), 400, "INVALID_ARGUMENT",
              "not understood");
}

TEST_F(GcpTest, ListsComeInPages) {
  const GcpClient customer = Customer();
  for (const char* ring : {"a", "b", "c"}) {
    customer.Post(kKms, Location() + "/keyRings?keyRingId=" + ring, Json::object());
  }
  const Json first = customer.Get(kKms, Location() + "/keyRings?pageSize=2").body;
  EXPECT_EQ(first["keyRings"].size(), 2u);
  EXPECT_EQ(first["totalSize"], 3);
  const Json second =
      customer
          .Get(kKms,
               Location() + "/keyRings?pageSize=2&pageToken=" + first["nextPageToken"].get<std::string>())
          .body;
  EXPECT_EQ(second["keyRings"].size(), 1u);
  EXPECT_EQ(second["keyRings"][0]["name"], Location() + "/keyRings/c");
  EXPECT_FALSE(second.contains("nextPageToken"));
  ExpectError(customer.Get(kKms, Location() + "/keyRings?pageToken=x"), 400, "INVALID_ARGUMENT");
}

TEST_F(GcpTest, NothingIsMadeTwiceOrUnderABadName) {
  const std::string key = NewKey();
  const std::string ring = Location() + "/keyRings/r";
  ExpectError(Customer().Post(kKms, ring + "/cryptoKeys?cryptoKeyId=k", {{"purpose", 1}}), 409,
              "ALREADY_EXISTS");
  ExpectError(Customer().Post(kKms, Location() + "/keyRings?keyRingId=r", Json::object()), 409,
              "ALREADY_EXISTS");
  ExpectError(Customer().Post(kKms, ring + "/cryptoKeys?cryptoKeyId=a%2Fb", {{"purpose", 1}}), 400,
              "INVALID_ARGUMENT");
  ExpectError(Customer().Post(kKms, ring + "/cryptoKeys?cryptoKeyId=x", Json::object()), 400,
              "INVALID_ARGUMENT", "purpose");
  ExpectError(
      Customer().Post(kKms, "projects/" + project() + "/locations/moon/keyRings?keyRingId=r", Json::object()),
      404, "NOT_FOUND", "moon");
}

TEST_F(GcpTest, TokensEndAndAreOnlyOurs) {
  const GcpClient customer = Customer();
  cloud_.clock().Advance(absl::Minutes(61));
  const GcpAnswer late = customer.Get(kKms, Location() + "/keyRings");
  ExpectError(late, 401, "UNAUTHENTICATED");
  EXPECT_EQ(late.body["error"]["details"][0]["reason"], "ACCESS_TOKEN_EXPIRED");
  for (const char* token : {"", "ya29.x", "nonsense"}) {
    ExpectError(GcpClient(cloud_, token).Get(kKms, Location() + "/keyRings"), 401, "UNAUTHENTICATED");
  }
  const GcpClient file(cloud_, ReadFile(cloud_.File("customer/gcp-access-token")));
  EXPECT_EQ(file.Get(kKms, Location() + "/keyRings").status, 200);
}

TEST_F(GcpTest, AssertionsAreSignedByTheAccountsOwnKey) {
  const Json file = Json::parse(ReadFile(cloud_.File("customer/gcp-key.json")));
  const auto ask = [&](const std::function<void(Json&, Json&)>& change) {
    return GcpClient::Token(cloud_, file, change);
  };
  EXPECT_EQ(ask([](Json&, Json&) {}).status, 200);
  const absl::Time now = cloud_.clock().Now();
  const std::pair<const char*, std::function<void(Json&, Json&)>> cases[] = {
      {"Invalid JWT Signature", [](Json& header, Json&) { header["kid"] = "none"; }},
      {"Invalid JWT Signature", [&](Json&, Json& claims) { claims["iss"] = platform(); }},
      {"account not found", [](Json&, Json& claims) { claims["iss"] = "x@y.iam.gserviceaccount.com"; }},
      {"audience", [](Json&, Json& claims) { claims["aud"] = "https://example.com/token"; }},
      {"short-lived", [&](Json&, Json& claims) { claims["exp"] = absl::ToUnixSeconds(now) - 600; }},
      {"short-lived", [&](Json&, Json& claims) { claims["exp"] = absl::ToUnixSeconds(now) + 7200; }},
      {"Invalid JWT Signature", [](Json& header, Json&) { header["alg"] = "none"; }},
      {"scope", [](Json&, Json& claims) { claims["scope"] = ""; }}};
  for (const auto& [words, change] : cases) {
    const GcpAnswer refused = ask(change);
    EXPECT_EQ(refused.status, 400) << refused.text;
    EXPECT_EQ(refused.body["error"], "invalid_grant");
    EXPECT_NE(refused.text.find(words), std::string::npos) << refused.text;
  }
}

TEST_F(GcpTest, TokensThatAccountsSignThemselvesAreForOneService) {
  const Json file = Json::parse(ReadFile(cloud_.File("customer/gcp-key.json")));
  const auto with = [&](const std::function<void(Json&)>& change) {
    const std::string jwt = GcpClient::Sign(cloud_, file, [&](Json&, Json& claims) {
      claims.erase("scope");
      claims["sub"] = claims["iss"];
      claims["aud"] = "https://cloudkms.googleapis.com/";
      change(claims);
    });
    return GcpClient(cloud_, jwt).Get(kKms, Location() + "/keyRings").status;
  };
  EXPECT_EQ(with([](Json&) {}), 200);
  EXPECT_EQ(with([](Json& claims) { claims["aud"] = "https://iam.googleapis.com/"; }), 401);
  EXPECT_EQ(with([](Json& claims) { claims["sub"] = "other"; }), 401);
  EXPECT_EQ(with([](Json& claims) { claims["exp"] = claims["iat"].get<int64_t>() - 900; }), 401);
  EXPECT_EQ(with([&](Json& claims) { claims["iss"] = claims["sub"] = platform(); }), 401);
}

TEST_F(GcpTest, AccountsAreImpersonatedByWhoMay) {
  const std::string iam = "iam.googleapis.com", credentials = "iamcredentials.googleapis.com";
  const GcpAnswer made =
      Customer().Post(iam, "projects/" + project() + "/serviceAccounts", {{"accountId", "cmek-user"}});
  ASSERT_EQ(made.status, 200) << made.text;
  const std::string account = made.body["email"];
  const std::string path = "projects/-/serviceAccounts/" + account + ":generateAccessToken";
  const Json body = {{"scope", {"https://www.googleapis.com/auth/cloudkms"}}, {"lifetime", "600s"}};
  ExpectError(Platform().Post(credentials, path, body), 403, "PERMISSION_DENIED",
              "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).");
  const Json policy = {
      {"bindings",
       {{{"role", "roles/iam.serviceAccountTokenCreator"}, {"members", {"serviceAccount:" + platform()}}}}}};
  ASSERT_EQ(Customer()
                .Post(iam, "projects/" + project() + "/serviceAccounts/" + account + ":setIamPolicy",
                      {{"policy", policy}})
                .status,
            200);
  const GcpAnswer token = Platform().Post(credentials, path, body);
  ASSERT_EQ(token.status, 200) << token.text;
  const GcpClient as_account(cloud_, token.body["accessToken"]);
  ExpectError(as_account.Get(kKms, Location() + "/keyRings"), 403, "PERMISSION_DENIED", "keyRings.list");
  ExpectError(as_account.Get(iam, "projects/" + project() + "/serviceAccounts"), 403, "PERMISSION_DENIED",
              "insufficient authentication scopes");
  Customer().Post(iam, "projects/" + project() + "/serviceAccounts/" + account + ":disable", Json::object());
  ExpectError(as_account.Get(kKms, Location() + "/keyRings"), 401, "UNAUTHENTICATED");
}

TEST_F(GcpTest, EverythingIsThereAfterARestart) {
  const std::string key = NewKey();
  Grant(key);
  const Json encrypted = Platform().Post(kKms, key + ":encrypt", EncryptBody("kept")).body;
  const std::string before = ReadFile(cloud_.File("platform/gcp-key.json"));
  cloud_.Restart();
  EXPECT_EQ(ReadFile(cloud_.File("platform/gcp-key.json")), before);
  EXPECT_EQ(Platform().Post(kKms, key + ":decrypt", DecryptBody(encrypted)).body["plaintext"],
            absl::Base64Escape("kept"));
}

TEST_F(GcpTest, EveryUseIsLogged) {
  const std::string key = NewKey();
  Platform().Post(kKms, key + ":encrypt", EncryptBody("secret-plaintext"));
  Grant(key);
  Platform().Post(kKms, key + ":encrypt", EncryptBody("secret-plaintext"));
  const std::string log = ReadFile(cloud_.File("access.log"));
  EXPECT_NE(log.find("\"action\":\"Encrypt\",\"key\":\"" + key + "\",\"outcome\":\"PERMISSION_DENIED\""),
            std::string::npos);
  EXPECT_NE(log.find("\"key\":\"" + key + "/cryptoKeyVersions/1\",\"outcome\":\"OK\""), std::string::npos);
  EXPECT_NE(log.find("\"principal\":\"" + platform() + "\""), std::string::npos);
  EXPECT_EQ(log.find(absl::Base64Escape("secret-plaintext")), std::string::npos);
  EXPECT_EQ(log.find("ya29."), std::string::npos);
}

TEST_F(GcpTest, BadRequestsChangeNothing) {
  const std::string key = NewKey();
  const GcpClient customer = Customer();
  for (const char* body : {"{", "[]", "7", "{\"plaintext\":7}", "{\"plaintext\":\"***\"}"}) {
    ExpectError(customer.Send("POST", kKms, key + ":encrypt", body), 400, "INVALID_ARGUMENT");
  }
  for (const char* path : {"projects", "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/0",
                           "projects/p/locations/l/x/r", "projects/../locations/l/keyRings"}) {
    EXPECT_GE(customer.Get(kKms, path).status, 400) << path;
  }
  ExpectError(customer.Send("POST", kKms, key + ":asymmetricSign", "{}"), 501, "UNIMPLEMENTED");
  EXPECT_EQ(customer.Get(kKms, key).status, 200);
}

TEST_F(GcpTest, TwoAtOnceMakeOneRing) {
  std::atomic<int> made = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      if (Customer().Post(kKms, Location() + "/keyRings?keyRingId=one", Json::object()).status == 200) ++made;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
}

}  // namespace
}  // namespace keyhold::localcloud
