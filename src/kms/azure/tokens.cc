#include "kms/azure/tokens.h"

#include <algorithm>
#include <mutex>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "kms/azure/assertion.h"
#include "kms/azure/errors.h"
#include "kms/file.h"
#include "kms/form.h"
#include "kms/secret_json.h"
#include "kms/text.h"

namespace keyhold::kms::azure {
namespace {

constexpr absl::Duration kExchangeTimeout = absl::Seconds(10);
constexpr size_t kMaxCredentialFile = 64 << 10;
constexpr int64_t kMaxLifetime = 7 * 24 * 3600;  // seconds; Entra's longest tokens live a day
constexpr std::string_view kJwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

Status Missing(std::string_view what) { return Error(Cause::kKmsBadCredentials, what); }

// What says who asks; the request adds what it is asked for.
using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

// expires_in: a number from Entra, a string from the metadata service.
StatusOr<int64_t> LifetimeOf(const SecretJson& answer) {
  const auto found = answer.find("expires_in");
  int64_t seconds = 0;
  if (found != answer.end() && found->is_number_integer()) {
    seconds = found->get<int64_t>();
  } else if (found != answer.end() && found->is_string()) {
    const auto& text = found->get_ref<const SecretString&>();
    if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &seconds)) seconds = 0;
  }
  if (seconds > 0 && seconds <= kMaxLifetime) return seconds;
  return Error(Cause::kKmsCorrupt, "Microsoft Entra ID answered a token without a lifetime");
}

StatusOr<AccessToken> ReadToken(const HttpResponse& response, absl::Time asked) {
  KEYHOLD_ASSIGN_OR_RETURN(const SecretJson answer,
                           ParseSecretJson(response.body.Expose(), "Microsoft Entra ID"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string_view text, StringOf(answer, "access_token"));
  KEYHOLD_ASSIGN_OR_RETURN(const int64_t seconds, LifetimeOf(answer));
  if (text.empty() || !IsVisibleAscii(text))
    return Error(Cause::kKmsCorrupt, "Microsoft Entra ID answered something that is no token");
  return AccessToken{crypto::SecretBytes::CopyOf(crypto::AsBytes(text)), asked + absl::Seconds(seconds)};
}

// A kind of credentials says how a token is asked for.
class EntraTokens : public Tokens {
 public:
  EntraTokens(std::string tenant, std::string client_id, HttpTransport& http, const RetryTools& tools)
      : tenant_(std::move(tenant)), client_id_(std::move(client_id)), http_(http), tools_(tools) {}

  const std::string& HomeTenant() const override { return tenant_; }

  TokenSource& For(const AzureCloud& cloud, const std::string& tenant) override {
    const std::lock_guard lock(mutex_);
    auto& source = sources_[StrCat({tenant, " ", cloud.resource})];
    if (source == nullptr) {
      source = std::make_unique<CachedTokens>(
          [this, &cloud, tenant](absl::Duration budget) { return Fetch(cloud, tenant, budget); },
          tools_.clock);
    }
    return *source;
  }

 protected:
  // What asks for a token of `tenant` for `cloud`.
  virtual StatusOr<HttpRequest> Ask(const AzureCloud& cloud, const std::string& tenant) = 0;

  const std::string& client_id() const { return client_id_; }
  const RetryTools& tools() const { return tools_; }

  StatusOr<HttpRequest> LoginRequest(const AzureCloud& cloud, const std::string& tenant,
                                     Fields fields) const {
    if (client_id_.empty())
      return Missing("AZURE_CLIENT_ID is not set; set it to the application's client id");
    HttpRequest request;
    request.host = std::string(cloud.login_host);
    request.path = StrCat({"/", tenant, "/oauth2/v2.0/token"});
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    const std::string scope = StrCat({cloud.resource, "/.default"});
    fields.insert(fields.end(),
                  {{"client_id", client_id_}, {"grant_type", "client_credentials"}, {"scope", scope}});
    request.body = Form(fields);
    return request;
  }

 private:
  StatusOr<AccessToken> Fetch(const AzureCloud& cloud, const std::string& tenant, absl::Duration budget) {
    const absl::Time now = tools_.clock.Now();
    KEYHOLD_ASSIGN_OR_RETURN(HttpRequest request, Ask(cloud, tenant));
    request.timeout = std::min(budget, kExchangeTimeout);
    const auto response = http_.Send(request);
    if (!response.ok()) return Annotate(response.status(), "asking for an Azure access token");
    if (response->status == 200) return ReadToken(*response, now);
    const Failure failure = ParseLoginFailure(*response);
    return ToStatus(failure, {"an access token", StrCat({request.host, " (tenant ", tenant, ")"}), ""},
                    CauseOfLoginFailure(failure));
  }

  const std::string tenant_;
  const std::string client_id_;
  HttpTransport& http_;
  const RetryTools tools_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<CachedTokens>> sources_;  // guarded by mutex_; by tenant and resource
};

class SecretTokens final : public EntraTokens {
 public:
  SecretTokens(std::string tenant, std::string client_id, std::string secret, HttpTransport& http,
               const RetryTools& tools)
      : EntraTokens(std::move(tenant), std::move(client_id), http, tools),
        secret_(crypto::SecretBytes::CopyOf(crypto::AsBytes(secret))) {}

 protected:
  StatusOr<HttpRequest> Ask(const AzureCloud& cloud, const std::string& tenant) override {
    return LoginRequest(cloud, tenant, {{"client_secret", secret_.ExposeText()}});
  }

 private:
  const crypto::SecretBytes secret_;
};

// The file is read again for every token, so that a renewed one is used at once.
class FileTokens final : public EntraTokens {
 public:
  enum class Kind { kCertificate, kFederatedToken };
  FileTokens(Kind kind, std::string path, std::string tenant, std::string client_id, Posix& posix,
             HttpTransport& http, const RetryTools& tools)
      : EntraTokens(std::move(tenant), std::move(client_id), http, tools),
        kind_(kind),
        path_(std::move(path)),
        posix_(posix) {}

 protected:
  StatusOr<HttpRequest> Ask(const AzureCloud& cloud, const std::string& tenant) override {
    auto content = ReadSecretFile(posix_, path_, kMaxCredentialFile);
    if (!content.ok()) {
      return Missing(StrCat({"the Azure credentials in ", Quoted(path_),
                             " cannot be used: ", std::string(content.status().message())}));
    }
    KEYHOLD_ASSIGN_OR_RETURN(const crypto::SecretBytes assertion, Assertion(*content, cloud, tenant));
    return LoginRequest(
        cloud, tenant, {{"client_assertion_type", kJwtBearer}, {"client_assertion", assertion.ExposeText()}});
  }

 private:
  StatusOr<crypto::SecretBytes> Assertion(const crypto::SecretBytes& content, const AzureCloud& cloud,
                                          const std::string& tenant) const {
    if (kind_ == Kind::kFederatedToken) return Trimmed(content);
    KEYHOLD_ASSIGN_OR_RETURN(const ClientCertificate certificate, ClientCertificate::FromPem(content));
    const std::string audience = StrCat({"https://", cloud.login_host, "/", tenant, "/oauth2/v2.0/token"});
    return certificate.Assert(client_id(), audience, tools().clock.Now(), tools().random);
  }

  StatusOr<crypto::SecretBytes> Trimmed(const crypto::SecretBytes& content) const {
    crypto::Bytes token = content.Expose();
    while (!token.empty() && token.back() <= ' ') token = token.first(token.size() - 1);
    if (token.empty()) return Missing(StrCat({"the token file ", Quoted(path_), " is empty"}));
    return crypto::SecretBytes::CopyOf(token);
  }

  const Kind kind_;
  const std::string path_;
  Posix& posix_;
};

// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
class ManagedIdentityTokens final : public EntraTokens {
 public:
  using EntraTokens::EntraTokens;

 protected:
  StatusOr<HttpRequest> Ask(const AzureCloud& cloud, const std::string&) override {
    HttpRequest request;
    request.method = "GET";
    request.host = std::string(kMetadataHosts[0]);
    request.path = StrCat(
        {"/metadata/identity/oauth2/token?api-version=2018-02-01&resource=", PercentEncoded(cloud.resource)});
    if (!client_id().empty()) request.path += "&client_id=" + PercentEncoded(client_id());
    request.headers = {{"Metadata", "true"}};
    request.metadata = true;
    return request;
  }
};

}  // namespace

std::unique_ptr<Tokens> NewTokens(const Environment& environment, Posix& posix, HttpTransport& http,
                                  const RetryTools& tools) {
  const std::string tenant = Value(environment, "AZURE_TENANT_ID");
  const std::string client_id = Value(environment, "AZURE_CLIENT_ID");
  if (const std::string secret = Value(environment, "AZURE_CLIENT_SECRET"); !secret.empty()) {
    return std::make_unique<SecretTokens>(tenant, client_id, secret, http, tools);
  }
  using Kind = FileTokens::Kind;
  if (const std::string path = Value(environment, "AZURE_CLIENT_CERTIFICATE_PATH"); !path.empty()) {
    return std::make_unique<FileTokens>(Kind::kCertificate, path, tenant, client_id, posix, http, tools);
  }
  if (const std::string path = Value(environment, "AZURE_FEDERATED_TOKEN_FILE"); !path.empty()) {
    return std::make_unique<FileTokens>(Kind::kFederatedToken, path, tenant, client_id, posix, http, tools);
  }
  return std::make_unique<ManagedIdentityTokens>(tenant, client_id, http, tools);
}

}  // namespace keyhold::kms::azure
