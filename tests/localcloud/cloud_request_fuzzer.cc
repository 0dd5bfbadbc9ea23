// Requests of somebody who is known, or claims to be, to any service of the three clouds, with whatever path
// and body: each gets an answer. The first line is HOST METHOD TARGET WORD, the rest the body. WORD is AWS
// KMS's operation; of the other clouds "x", or a token in place of a good one. "{vault}", "{project}" and
// such stand for the customer's.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "localcloud/aws/accounts.h"
#include "localcloud/aws/front.h"
#include "localcloud/aws/sigv4.h"
#include "localcloud/azure/accounts.h"
#include "localcloud/azure/front.h"
#include "localcloud/gcp/accounts.h"
#include "localcloud/gcp/front.h"
#include "tests/base/fake_clock.h"
#include "tests/base/fixed_random.h"
#include "tests/support/fuzz_dir.h"

namespace {

using namespace keyhold;              // NOLINT
using namespace keyhold::localcloud;  // NOLINT
using keyhold::testing::Must;

// The state that every input finds.
class World {
 public:
  World() {
    const auto database = Must(Database::Open(dir_.File("first.db")));
    const Directory directory = Must(Directory::Open(dir_.File("cloud")));
    Must(aws::SetUpAccounts(*database, vault_, directory, clock_.Now(), customer_, principals_));
    Must(gcp::SetUpAccounts(*database, vault_, directory, clock_.Now(), customer_, principals_));
    Must(azure::SetUpAccounts(*database, vault_, directory, clock_.Now(), customer_, principals_));
    google_token_ =
        std::string(absl::StripTrailingAsciiWhitespace(Must(directory.Read("customer/gcp-access-token"))));
    azure_form_ = absl::StrCat("grant_type=client_credentials&client_id=", Azure("client_id"),
                               "&client_secret=", Azure("client_secret"), "&scope=");
    const Json key = Json::parse(ServeOn(*database, "kms.us-east-1.amazonaws.com POST / CreateKey\n{}").body);
    const Json alias = {{"AliasName", "alias/a"}, {"TargetKeyId", key["KeyMetadata"]["KeyId"]}};
    for (const std::string& made :
         {"kms.us-east-1.amazonaws.com POST / CreateAlias\n" + alias.dump(),
          std::string("cloudkms.googleapis.com POST "
                      "/v1/projects/{project}/locations/us-east1/keyRings?keyRingId=r x\n{}"),
          std::string("cloudkms.googleapis.com POST "
                      "/v1/projects/{project}/locations/us-east1/keyRings/r/cryptoKeys?cryptoKeyId=k "
                      "x\n{\"purpose\":\"ENCRYPT_DECRYPT\"}"),
          std::string("{vault}.vault.azure.net POST /keys/k/create?api-version=7.4 x\n{\"kty\":\"RSA\"}")}) {
      if (ServeOn(*database, made).status >= 300) std::abort();
    }
  }

  // The answer to `text`, by a cloud in the state that all find.
  HttpResponse Serve(std::string_view text) {
    dir_.Copy("first.db", "cloud.db");
    return ServeOn(*Must(Database::Open(dir_.File("cloud.db"))), text);
  }

 private:
  HttpResponse ServeOn(Database& database, std::string_view given) {
    const std::string text = Named(given);
    const size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string> line = absl::StrSplit(text.substr(0, end), ' ');
    if (line.size() != 4 || text.find('\0') < end) return {};
    const std::string body = text.substr(std::min(end + 1, text.size()));
    return Send(database, {line[1], line[2], line[0], "127.0.0.1", {}, body}, line[3]);
  }

  HttpResponse Send(Database& database, HttpRequest request, const std::string& operation) {
    FaultGate faults(clock_);
    const FrontParts parts{database, vault_, *log_, clock_, faults};
    aws::Front aws(parts);
    gcp::Front gcp(parts);
    azure::Front azure(parts);
    if (const HttpHandler handler = aws.HandlerFor(request.host)) {
      Sign(request, operation);
      return handler(request);
    }
    if (const HttpHandler handler = gcp.HandlerFor(request.host)) {
      request.headers.emplace_back("authorization",
                                   "Bearer " + (operation == "x" ? google_token_ : operation));
      return handler(request);
    }
    const HttpHandler handler = azure.HandlerFor(request.host);
    if (!handler) return {};
    if (operation != "x") {
      request.headers.emplace_back("authorization", "Bearer " + operation);
      return handler(request);
    }
    if (request.host.ends_with(".azure.net")) Login(azure, "https://vault.azure.net", request);
    if (request.host == "management.azure.com") Login(azure, "https://management.azure.com", request);
    return handler(request);
  }

  std::string Named(std::string_view text) const {
    return absl::StrReplaceAll(std::string(text), {{"{vault}", Azure("vault")},
                                                   {"{tenant}", Azure("tenant_id")},
                                                   {"{subscription}", Azure("subscription_id")},
                                                   {"{group}", Azure("resource_group")},
                                                   {"{project}", customer_["gcp"]["project"]}});
  }

  std::string Azure(const char* name) const { return customer_["azure"][name]; }

  void Sign(HttpRequest& request, const std::string& operation) const {
    const auto endpoint = aws::EndpointOf(request.host);
    const std::string date = absl::FormatTime("%Y%m%dT%H%M%SZ", clock_.Now(), absl::UTCTimeZone());
    const std::string service(aws::ServiceName(endpoint->service));
    request.headers = {{"host", request.host}, {"x-amz-date", date}};
    if (endpoint->service == aws::Service::kKms) {
      request.headers.emplace_back("x-amz-target", "TrentService." + operation);
    }
    aws::Authorization authorization{
        customer_["aws"]["access_key_id"], date.substr(0, 8), endpoint->region, service, {}, ""};
    for (const auto& header : request.headers) authorization.signed_headers.push_back(header.first);
    const std::string to_sign =
        aws::StringToSign(authorization, date, aws::CanonicalRequest(request, authorization.signed_headers));
    const std::string secret = customer_["aws"]["secret_access_key"];
    request.headers.emplace_back(
        "authorization",
        absl::StrCat("AWS4-HMAC-SHA256 Credential=", authorization.access_key_id, "/", authorization.date,
                     "/", authorization.region, "/", service,
                     "/aws4_request, SignedHeaders=", absl::StrJoin(authorization.signed_headers, ";"),
                     ", Signature=", aws::Signature(crypto::AsBytes(secret), authorization, to_sign)));
  }

  void Login(azure::Front& azure, const std::string& audience, HttpRequest& request) {
    std::string& token = azure_tokens_[audience];
    if (token.empty()) {
      const HttpRequest login{"POST",
                              absl::StrCat("/", Azure("tenant_id"), "/oauth2/v2.0/token"),
                              "login.microsoftonline.com",
                              "",
                              {{"content-type", "application/x-www-form-urlencoded"}},
                              azure_form_ + audience + "/.default"};
      const HttpResponse answer = azure.HandlerFor(login.host)(login);
      if (answer.status != 200) std::abort();
      token = Json::parse(answer.body)["access_token"];
    }
    request.headers.emplace_back("authorization", "Bearer " + token);
  }

  const keyhold::testing::FuzzDir dir_;
  keyhold::testing::FakeClock clock_;
  keyhold::testing::FixedRandom random_;
  const Vault vault_{random_.Secret(32), random_};
  const std::unique_ptr<AccessLog> log_ = Must(AccessLog::Open("/dev/null"));
  Json customer_, principals_;
  std::string google_token_, azure_form_;
  std::map<std::string, std::string> azure_tokens_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool ready = crypto::InitSecretMemory().ok();
  if (!ready) return 0;
  static World world;
  const HttpResponse response = world.Serve({reinterpret_cast<const char*>(data), size});
  // 500 is what a status of our own making becomes: a bug.
  if (response.status < 200 || response.status == 500 || response.status > 599) std::abort();
  return 0;
}
