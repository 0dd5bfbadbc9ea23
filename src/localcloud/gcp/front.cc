#include "localcloud/gcp/front.h"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "localcloud/gcp/error.h"
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

void Front::SetFault(std::optional<Fault> fault) {
  const std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

std::optional<Fault> Front::CurrentFault() {
  const std::lock_guard lock(mutex_);
  return fault_;
}

Status Front::Sweep() {
  return database_.Transact([this](soci::session& sql) {
    Store store(sql, vault_);
    return SweepKms(store, vault_, clock_.Now());
  });
}

AccessRecord Front::NewRecord(const HttpRequest& request) const {
  AccessRecord record;
  record.service = request.host;
  record.request_id = crypto::NewUuid(vault_.random());
  record.source_address = request.source_address;
  return record;
}

StatusOr<Json> Front::Serve(const Service& service, const HttpRequest& request, AccessRecord& record) {
  KEYHOLD_RETURN_IF_ERROR(Sweep());
  Json out;
  const Status status = database_.Transact([&](soci::session& sql) -> Status {
    Store store(sql, vault_);
    const absl::Time now = clock_.Now();
    KEYHOLD_ASSIGN_OR_RETURN(Principal principal, Authenticate(request, service.scope, store, vault_, now));
    record.principal = principal.email;
    Url url = ParseUrl(request.target);
    KEYHOLD_ASSIGN_OR_RETURN(std::string name, NameIn(url.path));
    KEYHOLD_ASSIGN_OR_RETURN(const Json body, BodyOf(request));
    Call call{request.method, std::move(name), std::move(url.query), body, std::move(principal), now, store,
              vault_,         record};
    KEYHOLD_ASSIGN_OR_RETURN(out, service.serve(call));
    return OkStatus();
  });
  KEYHOLD_RETURN_IF_ERROR(status);
  return out;
}

HttpResponse Front::Handle(const Service& service, const HttpRequest& request) {
  AccessRecord record = NewRecord(request);
  const auto fault = service.kms ? CurrentFault() : std::nullopt;
  const StatusOr<Json> result =
      fault ? StatusOr<Json>(GcpError(fault->type, fault->message)) : Serve(service, request, record);
  Log(record, result.status());
  HttpResponse response = Answer(result);
  if (fault) response.status = fault->http_status;
  return response;
}

HttpResponse Front::HandleOauth(const HttpRequest& request) {
  AccessRecord record = NewRecord(request);
  HttpResponse response;
  Status outcome;
  const Status status = database_.Transact([&](soci::session& sql) -> Status {
    Store store(sql, vault_);
    response = ServeOauth(store, vault_, request, clock_.Now(), record, outcome);
    return OkStatus();
  });
  if (!status.ok()) response = Answer(status);
  Log(record, status.ok() ? outcome : status);
  return response;
}

void Front::Log(const AccessRecord& record, const Status& outcome) {
  AccessEntry entry;
  entry.time = clock_.Now();
  entry.service = record.service;
  entry.principal = record.principal;
  entry.action = record.action;
  entry.key = record.resource;
  entry.outcome = outcome.ok() ? "OK" : GcpErrorCode(outcome);
  entry.message = std::string(outcome.message());
  entry.request_id = record.request_id;
  entry.source = record.source_address;
  if (!outcome.ok() && entry.outcome.empty()) {
    entry.outcome = record.service == kOauthHost ? "invalid_grant" : "INTERNAL";
    if (record.service != kOauthHost)
      spdlog::error("local cloud: {} failed: {}", entry.action, entry.message);
  }
  const Status logged = log_.Append(entry);
  if (!logged.ok()) spdlog::error("local cloud: {}", std::string(logged.message()));
}

}  // namespace keyhold::localcloud::gcp
