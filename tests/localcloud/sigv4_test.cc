// AWS's published signing test suite (awslabs/aws-c-auth, tests/aws-signing-test-suite/v4), and what
// VerifySignature refuses.
#include "localcloud/aws/sigv4.h"

#include <gtest/gtest.h>

#include "localcloud/aws/error.h"

namespace keyhold::localcloud::aws {
namespace {

constexpr char kSecret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr char kDate[] = "20150830T123600Z";

struct Vector {
  const char* name;
  const char* method;
  const char* target;
  HttpHeaders headers;  // beside host and x-amz-date
  const char* body;
  const char* signed_headers;
  const char* signature;
};

HttpRequest RequestOf(const Vector& v) {
  HttpRequest request{v.method, v.target, "example.amazonaws.com", "", v.headers, v.body};
  request.headers.emplace_back("host", "example.amazonaws.com");
  request.headers.emplace_back("x-amz-date", kDate);
  return request;
}

std::string HeaderOf(const Vector& v) {
  return std::string(
             "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
             "SignedHeaders=") +
         v.signed_headers + ", Signature=" + v.signature;
}

const std::vector<Vector>& Vectors() {
  static const std::vector<Vector> vectors = {
      {"get-relative-relative-normalized",
       "GET",
       "/example1/example2/../..",
       {},
       "",
       "host;x-amz-date",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"post-vanilla",
       "POST",
       "/",
       {},
       "",
       "host;x-amz-date",
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"get-vanilla-with-session-token",
       "GET",
       "/",
       {{"x-amz-security-token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"}},
       "",
       "host;x-amz-date;x-amz-security-token",
       "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
      {"get-vanilla-query-order-encoded",
       "GET",
       "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
       {},
       "",
       "host;x-amz-date",
       "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
      {"get-utf8",
       "GET",
       "/\u1234",
       {},
       "",
       "host;x-amz-date",
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-vanilla-utf8-query",
       "GET",
       "/?\u1234=bar",
       {},
       "",
       "host;x-amz-date",
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-header-value-trim",
       "GET",
       "/",
       {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}},
       "",
       "host;my-header1;my-header2;x-amz-date",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"get-header-key-duplicate",
       "GET",
       "/",
       {{"my-header1", "value2"}, {"my-header1", "value2"}, {"my-header1", "value1"}},
       "",
       "host;my-header1;x-amz-date",
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-slashes-normalized",
       "GET",
       "//example//",
       {},
       "",
       "host;x-amz-date",
       "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
      {"get-space-normalized",
       "GET",
       "/example space/",
       {},
       "",
       "host;x-amz-date",
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"post-x-www-form-urlencoded",
       "POST",
       "/",
       {{"content-type", "application/x-www-form-urlencoded"},
        {"content-length", "13"},
        {"x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}},
       "Param1=value1",
       "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
       "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
  };
  return vectors;
}

TEST(SigV4, TheSuitesRequestsHaveTheSuitesSignatures) {
  for (const Vector& v : Vectors()) {
    auto authorization = ParseAuthorization(HeaderOf(v));
    ASSERT_TRUE(authorization.ok()) << v.name << authorization.status();
    std::string canonical = CanonicalRequest(RequestOf(v), authorization->signed_headers);
    EXPECT_EQ(
        Signature(crypto::AsBytes(kSecret), *authorization, StringToSign(*authorization, kDate, canonical)),
        v.signature)
        << v.name << "\n"
        << canonical;
  }
}

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() {
    now = absl::FromCivil(absl::CivilSecond(2015, 8, 30, 12, 36, 0), absl::UTCTimeZone());
    request = {"POST", "/", "kms.us-east-1.amazonaws.com", "", {}, "{}"};
    request.headers = {{"host", "kms.us-east-1.amazonaws.com"}, {"x-amz-date", kDate}};
    authorization = {"AKID", "20150830", "us-east-1", "kms", {"host", "x-amz-date"}, ""};
    Sign();
  }
  void Sign() {
    std::string canonical = CanonicalRequest(request, authorization.signed_headers);
    authorization.signature =
        Signature(crypto::AsBytes(kSecret), authorization, StringToSign(authorization, kDate, canonical));
  }
  Status Verify(const char* secret = kSecret) {
    return VerifySignature(request, authorization, crypto::AsBytes(secret), {Service::kKms, "us-east-1"},
                           now);
  }
  void ExpectRefused() { EXPECT_EQ(AwsErrorType(Verify()), "InvalidSignatureException"); }

  absl::Time now;
  HttpRequest request;
  Authorization authorization;
};

TEST_F(VerifyTest, ASignedRequestIsAccepted) { EXPECT_TRUE(Verify().ok()) << Verify(); }

TEST_F(VerifyTest, AnotherSecretBodyOrHeaderIsRefused) {
  EXPECT_EQ(AwsErrorType(Verify("another")), "InvalidSignatureException");
  request.body = "{ }";
  ExpectRefused();
  request.body = "{}";
  request.headers[0].second = "kms.eu-west-1.amazonaws.com";
  ExpectRefused();
}

TEST_F(VerifyTest, ClocksMayDifferByFiveMinutes) {
  absl::Time signed_at = now;
  for (absl::Duration skew : {-absl::Minutes(5), absl::Minutes(5)}) {
    now = signed_at + skew;
    EXPECT_TRUE(Verify().ok()) << Verify();
  }
  for (absl::Duration skew : {-absl::Minutes(5) - absl::Seconds(1), absl::Minutes(5) + absl::Seconds(1)}) {
    now = signed_at + skew;
    ExpectRefused();
  }
}

TEST_F(VerifyTest, TheScopeMustFitTheHost) {
  authorization.region = "eu-west-1";
  Sign();
  ExpectRefused();
  authorization.region = "us-east-1";
  authorization.service = "sts";
  Sign();
  ExpectRefused();
}

TEST_F(VerifyTest, AnUnsignedAmzHeaderIsRefused) {
  request.headers.emplace_back("x-amz-target", "TrentService.Encrypt");
  ExpectRefused();
  authorization.signed_headers.insert(authorization.signed_headers.end(), "x-amz-target");
  Sign();
  EXPECT_TRUE(Verify().ok());
}

TEST(ParseAuthorizationTest, EveryWayToBeMalformedIsRefused) {
  const std::string credential = "Credential=AK/20150830/us-east-1/kms/aws4_request";
  const std::string headers = "SignedHeaders=host";
  const std::string signature = "Signature=" + std::string(64, 'a');
  const std::string algorithm = "AWS4-HMAC-SHA256 ";
  EXPECT_TRUE(ParseAuthorization(algorithm + credential + "," + headers + ", " + signature).ok());
  for (const std::string& bad :
       {std::string(), std::string("Bearer x"), "AWS4-HMAC-SHA1 " + credential, algorithm + credential,
        algorithm + credential + ", " + headers, algorithm + headers + ", " + signature,
        algorithm + credential + ", " + headers + ", Signature=zz",
        algorithm + credential + ", " + credential + ", " + headers + ", " + signature,
        algorithm + credential + ", " + headers + ", " + signature + ", X=1",
        algorithm + "Credential=AK/20150830/us-east-1/kms, " + headers + ", " + signature,
        algorithm + credential + ", SignedHeaders=x-amz-date, " + signature,
        algorithm + credential + ", SignedHeaders=x-amz-date;host, " + signature}) {
    EXPECT_FALSE(ParseAuthorization(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace keyhold::localcloud::aws
