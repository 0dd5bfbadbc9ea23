#include "localcloud/gcp/front.h"

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "localcloud/gcp/error.h"
#include "localcloud/gcp/fault_error.h"
#include "localcloud/gcp/iam.h"
#include "localcloud/gcp/kms/kms.h"
#include "localcloud/gcp/oauth.h"
#include "localcloud/gcp/url.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::gcp {

// A host that takes access tokens.
struct Front::Service {
  std::string_view host;
  std::string_view scope;  // enough for it, beside that for all of Google Cloud
  bool kms;
  StatusOr<Json> (*serve)(Call&);
};

namespace {

constexpr std::string_view kOauthHost = "oauth2.googleapis.com";

// The token of "Authorization: Bearer TOKEN".
StatusOr<std::string> BearerOf(const HttpRequest& request) {
  const std::string* header = request.Header("authorization");
  absl::string_view token = header == nullptr ? "" : absl::string_view(*header);
  if (absl::StartsWithIgnoreCase(token, "bearer ")) return std::string(token.substr(7));
  return GcpError(
      "UNAUTHENTICATED",
      "Request is missing required authentication credential. Expected OAuth 2 access token, login "
      "cookie or other valid authentication credential. See "
      "https://developers.google.com/identity/sign-in/web/devconsole-project.",
      ErrorInfo("CREDENTIALS_MISSING", "googleapis.com"));
}

StatusOr<Principal> Authenticate(const HttpRequest& request, std::string_view scope, Store& store,
                                 const Vault& vault, absl::Time now) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string token, BearerOf(request));
  KEYHOLD_ASSIGN_OR_RETURN(
      const TokenClaims claims,
      IsJwt(token) ? OpenSelfSignedToken(store, token, request.host, now) : OpenToken(vault, token, now));
  const auto account = store.FindAccount(claims.email);
  if (!account || account->disabled) {
    return GcpError("UNAUTHENTICATED", "Request had invalid authentication credentials. Account disabled.",
                    ErrorInfo("ACCOUNT_STATE_INVALID", "googleapis.com"));
  }
  if (!claims.HasScope({scope})) {
    return GcpError("PERMISSION_DENIED", "Request had insufficient authentication scopes.",
                    ErrorInfo("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com"));
  }
  return Principal{claims.email};
}

// An object. Clients of protobuf send "" for an empty message.
StatusOr<Json> BodyOf(const HttpRequest& request) {
  if (request.body.empty() || request.body == "\"\"") return Json::object();
  auto body = ParseJson(request.body);
  if (!body.ok() || !body->is_object()) {
    return Invalid("Invalid JSON payload received. An object was expected.");
  }
  return body;
}

HttpResponse Answer(const StatusOr<Json>& result) {
  HttpResponse response;
  response.content_type = kJsonType;
  response.headers = {{"Cache-Control", "private"}};
  const Json body = result.ok() ? *result : ErrorBody(result.status());
  if (!result.ok()) response.status = HttpStatusOf(GcpErrorCode(result.status()));
  response.body = body.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return response;
}

// "/v1/NAME" -> "NAME".
StatusOr<std::string> NameIn(const std::string& path) {
  absl::string_view name = path;
  if (absl::ConsumePrefix(&name, "/v1/")) return std::string(name);
  return GcpError("NOT_FOUND", "The requested URL was not found on this server; the API's version is v1.");
}

}  // namespace

const Front::Service* Front::FindService(const std::string& host) {
  constexpr std::string_view kCloud = "https://www.googleapis.com/auth/cloud-platform";
  static constexpr Service kServices[] = {
      {"cloudkms.googleapis.com", "https://www.googleapis.com/auth/cloudkms", true, ServeKms},
      {"iam.googleapis.com", kCloud, false, ServeIam},
      {"iamcredentials.googleapis.com", "https://www.googleapis.com/auth/iam", false, ServeCredentials},
      {"cloudresourcemanager.googleapis.com", kCloud, false, ServeProjects}};
  for (const Service& service : kServices) {
    if (service.host == host) return &service;
  }
  return nullptr;
}

HttpHandler Front::HandlerFor(const std::string& host) {
  if (host == kOauthHost) return [this](const HttpRequest& request) { return HandleOauth(request); };
  const Service* service = FindService(host);
  if (service == nullptr) return nullptr;
  return [this, service](const HttpRequest& request) { return Handle(*service, request); };
}

Status Front::Sweep() {
  return parts_.database.Transact([this](soci::session& sql) {
    Store store(sql, parts_.vault);
    return SweepKms(store, parts_.vault, parts_.clock.Now());
  });
}

StatusOr<Json> Front::Serve(const Service& service, const HttpRequest& request, AccessEntry& record,
                            FaultHit& hit) {
  KEYHOLD_RETURN_IF_ERROR(Sweep());
  Json out;
  const auto serve = [&](soci::session& sql) -> Status {
    Store store(sql, parts_.vault);
    const absl::Time now = parts_.clock.Now();
    KEYHOLD_ASSIGN_OR_RETURN(Principal principal,
                             Authenticate(request, service.scope, store, parts_.vault, now));
    record.principal = principal.email;
    Url url = ParseUrl(request.target);
    KEYHOLD_ASSIGN_OR_RETURN(std::string name, NameIn(url.path));
    KEYHOLD_ASSIGN_OR_RETURN(const Json body, BodyOf(request));
    Call call{request.method, std::move(name), std::move(url.query), body, std::move(principal), now, store,
              parts_.vault,   record};
    KEYHOLD_ASSIGN_OR_RETURN(out, service.serve(call));
    return OkStatus();
  };
  KEYHOLD_RETURN_IF_ERROR(
      parts_.Serve(record, hit, serve, [&](FaultKind kind) { return FaultError(kind, record); }));
  return out;
}

HttpResponse Front::Handle(const Service& service, const HttpRequest& request) {
  AccessEntry record = parts_.NewEntry(request, request.host);
  FaultHit hit;
  const StatusOr<Json> result = Serve(service, request, record, hit);
  parts_.Log(record, hit, result.status(), GcpErrorCode(result.status()), "INTERNAL");
  HttpResponse response = Answer(result);
  Distort(hit, parts_.vault.random(), response);
  return response;
}

HttpResponse Front::HandleOauth(const HttpRequest& request) {
  AccessEntry record = parts_.NewEntry(request, request.host);
  HttpResponse response;
  Status outcome;
  FaultHit hit;
  const auto serve = [&](soci::session& sql) -> Status {
    Store store(sql, parts_.vault);
    response = ServeOauth(store, parts_.vault, request, parts_.clock.Now(), record, outcome);
    return OkStatus();
  };
  const Status status =
      parts_.Serve(record, hit, serve, [&](FaultKind kind) { return FaultError(kind, record); });
  if (!status.ok()) response = Answer(outcome = status);
  const std::string code = GcpErrorCode(outcome);
  parts_.Log(record, hit, outcome, code.empty() && status.ok() ? "invalid_grant" : code, "INTERNAL");
  Distort(hit, parts_.vault.random(), response);
  return response;
}

}  // namespace keyhold::localcloud::gcp
