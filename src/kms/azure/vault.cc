#include "kms/azure/vault.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "kms/azure/challenge.h"
#include "kms/text.h"

namespace keyhold::kms::azure {
namespace {

constexpr std::string_view kApiVersion = "?api-version=7.4";
// The longest single exchange: a hanging connection must leave time to try another.
constexpr absl::Duration kExchangeTimeout = absl::Seconds(10);
constexpr size_t kMaxRegion = 64;

std::string HeaderOr(const HttpResponse& response, const char* name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? std::string() : found->second;
}

absl::Duration RetryAfter(const HttpResponse& response) {
  int seconds = 0;
  if (!absl::SimpleAtoi(HeaderOr(response, "retry-after"), &seconds) || seconds < 0)
    return absl::ZeroDuration();
  return absl::Seconds(seconds);
}

}  // namespace

Vault::Vault(const KeyUri& key, std::string uri, std::string tenant, HttpTransport& http,
             const RetryTools& tools, Tokens& tokens)
    : key_(key),
      uri_(std::move(uri)),
      wanted_tenant_(std::move(tenant)),
      http_(http),
      tools_(tools),
      tokens_(tokens) {}

StatusOr<HttpResponse> Vault::Exchange(const VaultCall& call, const Token& token, absl::Duration left) {
  HttpRequest request;
  request.method = call.method;
  request.host = key_.host;
  request.path = StrCat({call.path, kApiVersion});
  request.headers = {{"Content-Type", "application/json"}};
  // Without a token the answer is a challenge, whatever is asked: nothing secret goes along.
  if (token != nullptr) {
    request.bearer = std::shared_ptr<const crypto::SecretBytes>(token, &token->value);
    request.body = call.body.Clone();
  }
  request.timeout = std::min(left, kExchangeTimeout);
  auto response = http_.Send(request);
  if (!response.ok()) return Annotate(response.status(), StrCat({call.action, " on ", uri_}));
  const std::string region = HeaderOr(*response, "x-ms-keyvault-region");
  if (!region.empty() && region.size() <= kMaxRegion) {
    const std::lock_guard lock(mutex_);
    region_ = absl::AsciiStrToLower(region);
  }
  return response;
}

Status Vault::Refused(const HttpResponse& answer, const VaultCall& call) const {
  const Failure failure = ParseVaultFailure(answer);
  return ToStatus(failure, {call.action, uri_, key_.vault}, CauseOfVaultFailure(failure, call.action));
}

// Takes the tenant out of a 401.
Status Vault::Learn(const HttpResponse& answer) {
  KEYHOLD_ASSIGN_OR_RETURN(const std::string tenant,
                           TenantOfChallenge(HeaderOr(answer, "www-authenticate"), *key_.cloud));
  if (!wanted_tenant_.empty() && tenant != wanted_tenant_) {
    return Error(
        Cause::kKmsBadCredentials,
        StrCat({"the vault ", key_.host, " is in tenant ", tenant, ", and Keyhold was to use tenant ",
                Printable(wanted_tenant_, 80), "; give the vault's tenant as auth_principal"}));
  }
  const std::lock_guard lock(mutex_);
  tenant_ = tenant;
  return OkStatus();
}

Status Vault::Challenge(absl::Duration left) {
  const VaultCall call{"get", "GET", key_.Path(key_.version), {}};
  KEYHOLD_ASSIGN_OR_RETURN(const HttpResponse answer, Exchange(call, nullptr, left));
  if (answer.status == 401) return Learn(answer);
  if (answer.status >= 400) return Refused(answer, call);
  return Error(Cause::kKmsCorrupt,
               StrCat({key_.host, " answers without asking who we are; it is no Azure Key Vault"}));
}

StatusOr<std::string> Vault::Tenant(absl::Duration left) {
  {
    const std::lock_guard lock(mutex_);
    if (!tenant_.empty()) return tenant_;
  }
  KEYHOLD_RETURN_IF_ERROR(Challenge(left));
  const std::lock_guard lock(mutex_);
  return tenant_;
}

TryResult Vault::Once(const VaultCall& call, absl::Duration left, HttpResponse& answer) {
  const absl::Time deadline = tools_.clock.Now() + left;
  // A token may have been revoked, or the vault moved to another tenant: one more try with a new one.
  for (int tries = 0; tries < 2; ++tries) {
    const auto tenant = Tenant(deadline - tools_.clock.Now());
    if (!tenant.ok()) return {tenant.status()};
    TokenSource& source = tokens_.For(*key_.cloud, *tenant);
    const auto token = source.Get(deadline - tools_.clock.Now());
    if (!token.ok()) return {Annotate(token.status(), StrCat({call.action, " on ", uri_}))};
    auto response = Exchange(call, *token, deadline - tools_.clock.Now());
    if (!response.ok()) return {response.status()};
    answer = *std::move(response);
    if (answer.status != 401) break;
    if (const Status learned = Learn(answer); !learned.ok()) return {learned};
    source.Forget(*token);
  }
  if (answer.status == 200) return {OkStatus()};
  return {Refused(answer, call), RetryAfter(answer)};
}

StatusOr<SecretJson> Vault::Send(const VaultCall& call, absl::Duration budget) {
  HttpResponse answer;
  KEYHOLD_RETURN_IF_ERROR(
      Retry(tools_, budget, [&](absl::Duration left) { return Once(call, left, answer); }));
  return ParseSecretJson(answer.body.Expose(), StrCat({"the vault ", key_.host}));
}

StatusOr<std::string> Vault::Region(absl::Duration budget) {
  const auto known = [this] {
    const std::lock_guard lock(mutex_);
    return region_;
  };
  if (known().empty()) {
    KEYHOLD_RETURN_IF_ERROR(
        Retry(tools_, budget, [&](absl::Duration left) { return TryResult{Challenge(left)}; }));
  }
  if (const std::string region = known(); !region.empty()) return region;
  return Error(Cause::kKmsWrongKey, StrCat({"the vault ", key_.host, " does not say in which region it is"}));
}

}  // namespace keyhold::kms::azure
