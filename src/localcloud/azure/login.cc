#include "localcloud/azure/login.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "crypto/hash.h"
#include "localcloud/aws/url.h"
#include "localcloud/azure/rsa.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr const char* kAudiences[] = {"https://vault.azure.net", "https://management.azure.com",
                                      "https://management.core.windows.net"};
constexpr char kJwtBearer[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr int64_t kSkew = 300;  // seconds

Status LoginError(int status, std::string_view code, int number, std::string_view message) {
  return AzureError(status, code, absl::StrCat("AADSTS", number, ": ", std::string(message)),
                    absl::StrCat(number));
}

Status BadSecret(const std::string& client_id) {
  return LoginError(
      401, "invalid_client", 7000215,
      "Invalid client secret provided. Ensure the secret being sent in the request is the client "
      "secret value, not the client secret ID, for a secret added to app '" +
          client_id + "'.");
}

Status BadAssertion(std::string_view why) {
  return LoginError(401, "invalid_client", 700027,
                    absl::StrCat("The certificate with identifier used to sign the client assertion is not "
                                 "registered on application, or the assertion is not valid: ",
                                 std::string(why), "."));
}

Json Configuration(const std::string& tenant) {
  const std::string base = absl::StrCat("https://", kLoginHost, "/", tenant);
  return {{"token_endpoint", base + "/oauth2/v2.0/token"},
          {"token_endpoint_auth_methods_supported",
           {"client_secret_post", "private_key_jwt", "client_secret_basic"}},
          {"jwks_uri", base + "/discovery/v2.0/keys"},
          {"response_modes_supported", {"query", "fragment", "form_post"}},
          {"subject_types_supported", {"pairwise"}},
          {"id_token_signing_alg_values_supported", {"RS256"}},
          {"response_types_supported", {"code", "id_token", "code id_token", "id_token token"}},
          {"scopes_supported", {"openid", "profile", "email", "offline_access"}},
          {"issuer", base + "/v2.0"},
          {"authorization_endpoint", base + "/oauth2/v2.0/authorize"},
          {"device_authorization_endpoint", base + "/oauth2/v2.0/devicecode"},
          {"end_session_endpoint", base + "/oauth2/v2.0/logout"},
          {"tenant_region_scope", "NA"},
          {"cloud_instance_name", "microsoftonline.com"}};
}

Json InstanceDiscovery(const std::string& tenant) {
  return {{"tenant_discovery_endpoint",
           absl::StrCat("https://", kLoginHost, "/", tenant, "/v2.0/.well-known/openid-configuration")},
          {"api-version", "1.1"},
          {"metadata",
           {{{"preferred_network", kLoginHost},
             {"preferred_cache", kLoginAlias},
             {"aliases", {kLoginHost, kLoginAlias, "login.microsoft.com", "sts.windows.net"}}}}}};
}

// "https://vault.azure.net" of a v2 scope (RESOURCE/.default) or a v1 resource.
StatusOr<std::string> AudienceOf(const std::string& scope, const std::string& resource) {
  std::string audience = resource.empty() ? scope : resource;
  constexpr absl::string_view kDefault = "/.default";
  if (resource.empty()) {
    if (!absl::EndsWith(audience, kDefault)) {
      return LoginError(
          400, "invalid_scope", 70011,
          "The provided value for the input parameter 'scope' is not valid. It must be a resource "
          "followed by /.default.");
    }
    audience.resize(audience.size() - kDefault.size());
  }
  while (!audience.empty() && audience.back() == '/') audience.pop_back();
  if (std::find(std::begin(kAudiences), std::end(kAudiences), audience) != std::end(kAudiences))
    return audience;
  return LoginError(
      400, "invalid_resource", 500011,
      absl::StrCat("The resource principal named ", audience.substr(0, 200),
                   " was not found in the tenant. The local cloud knows https://vault.azure.net and "
                   "https://management.azure.com."));
}

// A client assertion: RFC 7523, as the certificate credentials page has it.
Status CheckAssertion(const App& app, const std::string& assertion, const std::string& tenant,
                      absl::Time now) {
  const std::vector<std::string> parts = absl::StrSplit(assertion, '.');
  if (parts.size() != 3) return BadAssertion("it is no JWT");
  const auto header_text = FromBase64Url(parts[0]);
  const auto claims_text = FromBase64Url(parts[1]);
  const auto signature = FromBase64Url(parts[2]);
  if (!header_text.ok() || !claims_text.ok() || !signature.ok()) return BadAssertion("it is no JWT");
  const auto header = ParseJson(*header_text);
  const auto claims = ParseJson(*claims_text);
  if (!header.ok() || !claims.ok() || !header->is_object() || !claims->is_object()) {
    return BadAssertion("it is no JWT");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const std::string algorithm, StringIn(*header, "alg"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string thumbprint, StringIn(*header, "x5t#S256"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string audience, StringIn(*claims, "aud"));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string issuer, StringIn(*claims, "iss"));
  KEYHOLD_ASSIGN_OR_RETURN(const int64_t expires, IntIn(*claims, "exp", 0));
  KEYHOLD_ASSIGN_OR_RETURN(const int64_t from, IntIn(*claims, "nbf", 0));
  if (app.certificate_pem.empty() ||
      (!thumbprint.empty() && thumbprint != ThumbprintOf(app.certificate_pem))) {
    return BadAssertion("the application has no such certificate");
  }
  if (!VerifySignature(app.certificate_pem, algorithm, absl::StrCat(parts[0], ".", parts[1]),
                       crypto::AsBytes(*signature))
           .ok()) {
    return BadAssertion("the signature does not verify");
  }
  const std::string base = absl::StrCat("https://", kLoginHost, "/", tenant);
  if (audience != base + "/oauth2/v2.0/token" && audience != base + "/v2.0")
    return BadAssertion("its audience");
  const int64_t seconds = absl::ToUnixSeconds(now);
  if (expires <= seconds - kSkew || from > seconds + kSkew) {
    return LoginError(401, "invalid_client", 700024, "Client assertion is not within its valid time range.");
  }
  return issuer == app.client_id ? OkStatus() : BadAssertion("its issuer is not the application");
}

std::string Parameter(const aws::Parameters& form, std::string_view name) {
  const std::string* value = aws::FindParameter(form, name);
  return value == nullptr ? std::string() : *value;
}

// client_secret_basic (RFC 6749 section 2.3.1) beside the form's own parameters.
void ReadBasic(const Call& call, std::string& client_id, std::string& secret) {
  const std::string* header = call.http.Header("authorization");
  if (header == nullptr || !absl::StartsWithIgnoreCase(*header, "Basic ")) return;
  std::string pair;
  if (!absl::Base64Unescape(header->substr(6), &pair)) return;
  const size_t colon = pair.find(':');
  if (colon == std::string::npos) return;
  client_id = aws::PercentDecode(std::string_view(pair).substr(0, colon), true);
  secret = aws::PercentDecode(std::string_view(pair).substr(colon + 1), true);
}

StatusOr<App> Authenticate(Call& call, const aws::Parameters& form, const std::string& tenant) {
  std::string client_id = Parameter(form, "client_id");
  std::string secret = Parameter(form, "client_secret");
  if (client_id.empty()) ReadBasic(call, client_id, secret);
  call.record.principal = client_id.substr(0, 64);
  auto app = call.store.FindApp(client_id);
  if (!app) {
    return LoginError(
        400, "unauthorized_client", 700016,
        absl::StrCat("Application with identifier '", client_id.substr(0, 64),
                     "' was not found in the directory. This can happen if the application has not "
                     "been installed by the administrator of the tenant or consented to by any user "
                     "in the tenant."));
  }
  if (const std::string assertion = Parameter(form, "client_assertion"); !assertion.empty()) {
    if (Parameter(form, "client_assertion_type") != kJwtBearer) return BadAssertion("its type");
    KEYHOLD_RETURN_IF_ERROR(CheckAssertion(*app, assertion, tenant, call.now));
    return *std::move(app);
  }
  const bool right =
      !app->secret.empty() && crypto::ConstantTimeEqual(app->secret.Expose(), crypto::AsBytes(secret));
  if (!right) return BadSecret(client_id);
  return *std::move(app);
}

StatusOr<Result> ServeToken(Call& call, const std::string& tenant, bool v2) {
  const aws::Parameters form = aws::ParseParameters(call.http.body, true);
  if (Parameter(form, "grant_type") != "client_credentials") {
    return LoginError(
        400, "unsupported_grant_type", 70003,
        "The app requested an unsupported grant type. The local cloud knows client_credentials.");
  }
  KEYHOLD_ASSIGN_OR_RETURN(const App app, Authenticate(call, form, tenant));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string audience,
                           AudienceOf(Parameter(form, "scope"), v2 ? "" : Parameter(form, "resource")));
  KEYHOLD_ASSIGN_OR_RETURN(const std::string token, IssueToken(call.store, app, audience, call.now));
  const int64_t lifetime = absl::ToInt64Seconds(kTokenLifetime);
  Json body = {{"token_type", "Bearer"}, {"access_token", token}};
  if (v2) {
    body["expires_in"] = lifetime;
    body["ext_expires_in"] = lifetime;
  } else {
    body["expires_in"] = absl::StrCat(lifetime);
    body["expires_on"] = absl::StrCat(absl::ToUnixSeconds(call.now) + lifetime);
    body["resource"] = audience;
  }
  return Result{200, body};
}

}  // namespace

StatusOr<Result> ServeLogin(Call& call) {
  const std::string tenant = call.store.Setting("tenant_id");
  const std::string asked = call.path.empty() ? "" : call.path[0];
  const bool any = asked == "common" || asked == "organizations";
  if (call.Is("GET", {"*", "discovery", "instance"}))
    return Result{200, InstanceDiscovery(any ? tenant : asked)};
  if (asked != tenant && !any) {
    return LoginError(
        400, "invalid_request", 90002,
        absl::StrCat("Tenant '", asked.substr(0, 64),
                     "' not found. Check to make sure you have the correct tenant ID and are signing "
                     "into the correct cloud."));
  }
  if (call.Is("GET", {"*", "v2.0", ".well-known", "openid-configuration"}) ||
      call.Is("GET", {"*", ".well-known", "openid-configuration"})) {
    return Result{200, Configuration(any ? "common" : tenant)};
  }
  if (call.Is("GET", {"*", "discovery", "v2.0", "keys"}) || call.Is("GET", {"*", "discovery", "keys"})) {
    KEYHOLD_ASSIGN_OR_RETURN(Json keys, KeySet(call.store));
    return Result{200, std::move(keys)};
  }
  if (call.Is("POST", {"*", "oauth2", "v2.0", "token"})) return ServeToken(call, tenant, true);
  if (call.Is("POST", {"*", "oauth2", "token"})) return ServeToken(call, tenant, false);
  return AzureError(404, "not_found", "AADSTS90014: The local cloud's login has no such page.", "90014");
}

Json LoginErrorBody(const Status& error, absl::Time now, const std::string& request_id) {
  const ErrorParts parts = PartsOf(error);
  int number = 0;
  if (!absl::SimpleAtoi(parts.inner, &number)) number = 90033;
  const std::string time = absl::FormatTime("%Y-%m-%d %H:%M:%SZ", now, absl::UTCTimeZone());
  return {{"error", parts.http_status >= 500 ? "server_error" : parts.code},
          {"error_description", absl::StrCat(std::string(error.message()), " Trace ID: ", request_id,
                                             " Correlation ID: ", request_id, " Timestamp: ", time)},
          {"error_codes", {number}},
          {"timestamp", time},
          {"trace_id", request_id},
          {"correlation_id", request_id},
          {"error_uri", absl::StrCat("https://", kLoginHost, "/error?code=", number)}};
}

}  // namespace keyhold::localcloud::azure
