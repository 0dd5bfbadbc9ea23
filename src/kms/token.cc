#include "kms/token.h"

namespace keyhold::kms {

StatusOr<Token> CachedTokens::Get(absl::Duration budget) {
  Token current;
  {
    const std::lock_guard lock(mutex_);
    current = token_;
  }
  const absl::Time now = clock_.Now();
  if (current != nullptr && current->expires - now > kRenewTokenBefore) return current;
  // Not under the lock: who hangs must not hold up who has what it needs. Two may ask; both are answered.
  auto fetched = fetch_(budget);
  if (!fetched.ok()) {
    const bool usable =
        current != nullptr && current->expires > now && IsTransient(CauseOf(fetched.status()));
    if (usable) return current;
    return fetched.status();
  }
  const auto token = std::make_shared<const AccessToken>(*std::move(fetched));
  const std::lock_guard lock(mutex_);
  token_ = token;
  return Token(token);
}

void CachedTokens::Forget(const Token& token) {
  const std::lock_guard lock(mutex_);
  if (token_ == token) token_.reset();
}

}  // namespace keyhold::kms
