#include "localcloud/azure/front.h"

#include <spdlog/spdlog.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "localcloud/azure/fault_error.h"
#include "localcloud/azure/login.h"
#include "localcloud/azure/management.h"
#include "localcloud/azure/vault_service.h"
#include "localcloud/sql.h"

namespace keyhold::localcloud::azure {
namespace {

constexpr char kVaultSuffix[] = ".vault.azure.net";
constexpr char kVaultAudience[] = "https://vault.azure.net";
constexpr char kManagementAudience[] = "https://management.azure.com";
constexpr char kOldManagementAudience[] = "https://management.core.windows.net";

void AddVaultHeaders(const KeyVault& vault, const std::string& request_id, HttpResponse& response) {
  response.headers.emplace_back("Cache-Control", "no-cache");
  response.headers.emplace_back("x-ms-keyvault-region", vault.location);
  response.headers.emplace_back("x-ms-request-id", request_id);
  response.headers.emplace_back("x-ms-keyvault-service-version", "1.9.2000.0");
  response.headers.emplace_back("x-ms-keyvault-network-info",
                                "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;");
}

void AddChallenge(const std::string& tenant, const char* audience, HttpResponse& response) {
  response.headers.emplace_back("WWW-Authenticate",
                                absl::StrCat("Bearer authorization=\"https://", kLoginHost, "/", tenant,
                                             "\", resource=\"", audience, "\""));
}

Json VaultErrorBody(const Status& error) {
  const ErrorParts parts = PartsOf(error);
  Json body = {{"code", parts.code}, {"message", std::string(error.message())}};
  if (!parts.inner.empty()) body["innererror"] = {{"code", parts.inner}};
  return {{"error", std::move(body)}};
}

StatusOr<Caller> ManagementCaller(AzureStore& store, const std::string* authorization, absl::Time now) {
  auto caller = VerifyToken(store, authorization, kManagementAudience, now);
  return caller.ok() ? std::move(caller) : VerifyToken(store, authorization, kOldManagementAudience, now);
}

Status Unauthenticated(const Status& why, bool vault) {
  return vault ? AzureError(401, "Unauthorized", std::string(why.message()))
               : AzureError(401, "AuthenticationFailed",
                            "Authentication failed. " + std::string(why.message()));
}

}  // namespace

HttpHandler Front::HandlerFor(const std::string& host) {
  Place place{Service::kLogin, ""};
  if (host == kManagementHost) {
    place.service = Service::kManagement;
  } else if (absl::EndsWith(host, kVaultSuffix)) {
    place.service = Service::kVault;
    place.vault = std::string(absl::StripSuffix(host, kVaultSuffix));
    const auto vault = FindVault(place.vault);
    if (!vault || vault->deleted) return nullptr;
  } else if (host != kLoginHost && host != kLoginAlias) {
    return nullptr;
  }
  return [this, place](const HttpRequest& request) { return Handle(place, request); };
}

std::optional<KeyVault> Front::FindVault(const std::string& name) {
  std::optional<KeyVault> found;
  const Status status = parts_.database.Transact([&](soci::session& sql) {
    found = AzureStore(sql, parts_.vault).FindVault(name);
    return OkStatus();
  });
  if (!status.ok()) spdlog::error("local cloud: {}", std::string(status.message()));
  return found;
}

Status Front::Sweep() {
  return parts_.database.Transact([this](soci::session& sql) {
    AzureStore store(sql, parts_.vault);
    return SweepVaults(store, parts_.clock.Now());
  });
}

StatusOr<Result> Front::ServeIn(soci::session& sql, const Place& place, const HttpRequest& request,
                                AccessEntry& record, HttpResponse& response) {
  AzureStore store(sql, parts_.vault);
  Call call{request, {}, parts_.clock.Now(), store, record};
  if (place.service == Service::kLogin) {
    // Bodies of the login are forms.
    HttpRequest head = request;
    head.body.clear();
    Call path_only{head, {}, call.now, store, record};
    KEYHOLD_RETURN_IF_ERROR(ReadRequest(path_only));
    call.path = std::move(path_only.path);
    record.action = absl::StrCat(request.method, " /", call.path.size() > 1 ? call.path.back() : "");
    return ServeLogin(call);
  }
  const bool is_vault = place.service == Service::kVault;
  std::optional<KeyVault> vault;
  if (is_vault) {
    vault = store.FindVault(place.vault);
    if (!vault || vault->deleted) return AzureError(404, "VaultNotFound", "The vault is not there any more.");
    AddVaultHeaders(*vault, record.request_id, response);
  }
  // Before the body is looked at: clients ask without one first, to be told whom to ask for a token.
  const std::string* authorization = request.Header("authorization");
  auto caller = is_vault ? VerifyToken(store, authorization, kVaultAudience, call.now)
                         : ManagementCaller(store, authorization, call.now);
  if (!caller.ok()) {
    if (CauseOf(caller.status()) != Cause::kUnauthenticated) return caller.status();
    AddChallenge(store.Setting("tenant_id"), is_vault ? kVaultAudience : kManagementAudience, response);
    return Unauthenticated(caller.status(), is_vault);
  }
  call.caller = *std::move(caller);
  record.principal = call.caller.object_id;
  KEYHOLD_RETURN_IF_ERROR(ReadRequest(call));
  return is_vault ? ServeVault(call, *vault) : ServeManagement(call);
}

StatusOr<Result> Front::Serve(const Place& place, const HttpRequest& request, AccessEntry& record,
                              FaultHit& hit, HttpResponse& response) {
  if (place.service == Service::kVault) KEYHOLD_RETURN_IF_ERROR(Sweep());
  Result result;
  const auto serve = [&](soci::session& sql) -> Status {
    KEYHOLD_ASSIGN_OR_RETURN(result, ServeIn(sql, place, request, record, response));
    return OkStatus();
  };
  KEYHOLD_RETURN_IF_ERROR(parts_.Serve(record, hit, serve, [&](FaultKind kind) {
    return place.service == Service::kLogin ? LoginFaultError(kind) : FaultError(kind, record);
  }));
  return result;
}

HttpResponse Front::Handle(const Place& place, const HttpRequest& request) {
  AccessEntry record = parts_.NewEntry(request, place.service == Service::kVault ? place.vault + kVaultSuffix
                                                : place.service == Service::kManagement ? kManagementHost
                                                                                        : kLoginHost);
  record.action = request.method;
  HttpResponse response;
  FaultHit hit;
  const StatusOr<Result> result = Serve(place, request, record, hit, response);
  response.content_type = "application/json; charset=utf-8";
  if (result.ok()) {
    response.status = result->status;
    if (!result->body.is_null()) response.body = result->body.dump();
  } else {
    const Json body = place.service == Service::kLogin
                          ? LoginErrorBody(result.status(), parts_.clock.Now(), record.request_id)
                          : VaultErrorBody(result.status());
    response.status = PartsOf(result.status()).http_status;
    response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  const ErrorParts parts = result.ok() ? ErrorParts{} : PartsOf(result.status());
  const std::string error = parts.http_status == 500 ? "" : parts.inner.empty() ? parts.code : parts.inner;
  parts_.Log(record, hit, result.status(), error, "InternalServerError");
  Distort(hit, parts_.vault.random(), response);
  return response;
}

}  // namespace keyhold::localcloud::azure
