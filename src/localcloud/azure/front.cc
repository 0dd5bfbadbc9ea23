#include "localcloud/azure/front.h"

#include <spdlog/spdlog.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
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
  const Status status = database_.Transact([&](soci::session& sql) {
    found = AzureStore(sql, hsm_).FindVault(name);
    return OkStatus();
  });
  if (!status.ok()) spdlog::error("local cloud: {}", std::string(status.message()));
  return found;
}

void Front::SetFault(std::optional<Fault> fault) {
  std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

Status Front::Sweep() {
  return database_.Transact([this](soci::session& sql) {
    AzureStore store(sql, hsm_);
    return SweepVaults(store, clock_.Now());
  });
}

StatusOr<Result> Front::ServeIn(soci::session& sql, const Place& place, const HttpRequest& request,
                                AccessRecord& record, HttpResponse& response) {
  AzureStore store(sql, hsm_);
  Call call{request, {}, clock_.Now(), store, record};
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

StatusOr<Result> Front::Serve(const Place& place, const HttpRequest& request, AccessRecord& record,
                              HttpResponse& response) {
  if (place.service == Service::kVault) KEYHOLD_RETURN_IF_ERROR(Sweep());
  StatusOr<Result> result = Result{};
  const Status status = database_.Transact([&](soci::session& sql) {
    result = ServeIn(sql, place, request, record, response);
    return result.status();
  });
  if (!status.ok()) return status;
  return result;
}

HttpResponse Front::Handle(const Place& place, const HttpRequest& request) {
  AccessRecord record;
  record.request_id = crypto::NewUuid(hsm_.random());
  record.source_address = request.source_address;
  record.action = request.method;
  std::optional<Fault> fault;
  if (place.service == Service::kVault) {
    std::lock_guard lock(mutex_);
    fault = fault_;
  }
  HttpResponse response;
  const StatusOr<Result> result =
      fault ? StatusOr<Result>(AzureError(fault->http_status, fault->type, fault->message))
            : Serve(place, request, record, response);
  Log(place, record, result.status());
  response.content_type = "application/json; charset=utf-8";
  if (result.ok()) {
    response.status = result->status;
    if (!result->body.is_null()) response.body = result->body.dump();
    return response;
  }
  const Json body = place.service == Service::kLogin
                        ? LoginErrorBody(result.status(), clock_.Now(), record.request_id)
                        : VaultErrorBody(result.status());
  response.status = PartsOf(result.status()).http_status;
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

void Front::Log(const Place& place, const AccessRecord& record, const Status& outcome) {
  AccessEntry entry;
  entry.time = clock_.Now();
  entry.service = place.service == Service::kVault        ? absl::StrCat(place.vault, kVaultSuffix)
                  : place.service == Service::kManagement ? kManagementHost
                                                          : kLoginHost;
  entry.principal = record.principal;
  entry.action = record.action;
  entry.key = record.key;
  const ErrorParts parts = outcome.ok() ? ErrorParts{} : PartsOf(outcome);
  entry.outcome = outcome.ok() ? "OK" : parts.inner.empty() ? parts.code : parts.inner;
  entry.message = std::string(outcome.message());
  entry.request_id = record.request_id;
  entry.source = record.source_address;
  if (!outcome.ok() && parts.http_status == 500) {
    spdlog::error("local cloud: {} failed: {}", record.action, entry.message);
  }
  const Status logged = log_.Append(entry);
  if (!logged.ok()) spdlog::error("local cloud: {}", std::string(logged.message()));
}

}  // namespace keyhold::localcloud::azure
