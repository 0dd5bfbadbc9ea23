// OAuth 2.0 access tokens (RFC 6749), and keeping one until it is time for the next: GCP's and Azure's way of
// saying who calls.
#pragma once

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status.h"
#include "crypto/secret.h"
#include "kms/renewing.h"

namespace keyhold::kms {

// Tokens are renewed when less than this is left of them. GCP's metadata server hands out a new one only in a
// token's last five minutes.
inline constexpr absl::Duration kRenewTokenBefore = absl::Minutes(4);

struct AccessToken {
  crypto::SecretBytes value;
  absl::Time expires = absl::InfiniteFuture();
};
using Token = std::shared_ptr<const AccessToken>;

// Where tokens come from. Safe to use from any thread.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  // A valid token, fetched or renewed within `budget`. kKmsBadCredentials when there is none to be had.
  virtual StatusOr<Token> Get(absl::Duration budget) = 0;
  // `token` was refused, whatever its time: do not hand it out again.
  virtual void Forget(const Token& token) { static_cast<void>(token); }
};

// Keeps what `fetch` gave, and fetches again in time. While `fetch` fails for a transient cause, a token that
// is still valid is handed out; another error is the result at once.
class CachedTokens final : public TokenSource {
 public:
  using Fetch = std::function<StatusOr<AccessToken>(absl::Duration budget)>;

  // `clock` must outlive this. `fetch` may be called from several threads at once.
  CachedTokens(Fetch fetch, Clock& clock);

  StatusOr<Token> Get(absl::Duration budget) override { return tokens_.Get(budget); }
  void Forget(const Token& token) override { tokens_.Forget(token); }

 private:
  Renewing<AccessToken> tokens_;
};

}  // namespace keyhold::kms
