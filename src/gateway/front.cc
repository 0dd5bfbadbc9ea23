#include "gateway/front.h"

#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyhold::gateway {
namespace {

ErrorText NotAllowed(std::string_view address) {
  const std::string text(address);
  return {.sqlstate = std::string(kInvalidAuthorization),
          .message = absl::StrCat("the address ", text, " is not in this cluster's IP allowlist"),
          .detail = {},
          .hint = absl::StrCat("Add it: ccloud cluster networking allowlist create CLUSTER ", text, "/",
                               absl::StrContains(text, ":") ? "128" : "32", " --sql")};
}

ErrorText TooMany(int limit) {
  return {.sqlstate = std::string(kTooManyConnections),
          .message = absl::StrCat("too many connections: the gateway holds ", limit),
          .detail = {},
          .hint = "Close idle connections, or use a connection pool."};
}

}  // namespace

Front::Front(const GatewayOptions& options, Allowlist allowlist, SslContext tls_context)
    : limits(options.limits),
      upstream_socket(options.upstream_socket),
      settings(options.cluster_settings),
      cancel_keys(crypto::SystemRandom()),
      allowlist_(std::move(allowlist)),
      tls_(std::move(tls_context)),
      lock_(LockReason{.cause = Cause::kUnavailable,
                       .message = "the cluster is starting and does not serve yet",
                       .hint = {},
                       .sqlstate = {}}) {}

std::optional<ErrorText> Front::Refusal(std::string_view address) const {
  const std::scoped_lock lock(mutex_);
  if (!allowlist_.Contains(address)) return NotAllowed(address);
  if (lock_) return RefusedBy(*lock_);
  if (counters.sessions > static_cast<uint64_t>(limits.max_sessions)) return TooMany(limits.max_sessions);
  return std::nullopt;
}

bool Front::Allows(std::string_view address) const {
  const std::scoped_lock lock(mutex_);
  return allowlist_.Contains(address);
}

void Front::SetAllowlist(Allowlist allowlist) {
  const std::scoped_lock lock(mutex_);
  allowlist_ = std::move(allowlist);
}

std::shared_ptr<SSL_CTX> Front::tls() const {
  const std::scoped_lock lock(mutex_);
  return tls_;
}

void Front::SetTls(SslContext context) {
  const std::scoped_lock lock(mutex_);
  tls_ = std::move(context);
}

void Front::Shut(const LockReason& reason) {
  const std::scoped_lock lock(mutex_);
  lock_ = reason;
}

void Front::Open() {
  const std::scoped_lock lock(mutex_);
  lock_.reset();
}

bool Front::Opened() {
  const std::scoped_lock lock(mutex_);
  if (lock_) return false;
  ++upstreams_;
  return true;
}

void Front::Closed() {
  const std::scoped_lock lock(mutex_);
  if (--upstreams_ == 0) all_closed_.notify_all();
}

uint64_t Front::upstreams() const {
  const std::scoped_lock lock(mutex_);
  return upstreams_;
}

bool Front::AwaitAllClosed(absl::Duration deadline) {
  std::unique_lock lock(mutex_);
  return all_closed_.wait_for(lock, absl::ToChronoMilliseconds(deadline), [&] { return upstreams_ == 0; });
}

}  // namespace keyhold::gateway
