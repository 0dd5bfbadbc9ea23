#include "kms/token.h"

#include <utility>

namespace keyhold::kms {
namespace {

StatusOr<Token> Shared(StatusOr<AccessToken> token) {
  KEYHOLD_RETURN_IF_ERROR(token.status());
  return std::make_shared<const AccessToken>(*std::move(token));
}

}  // namespace

CachedTokens::CachedTokens(Fetch fetch, Clock& clock)
    : tokens_([fetch = std::move(fetch)](absl::Duration budget) { return Shared(fetch(budget)); },
              kRenewTokenBefore, clock) {}

}  // namespace keyhold::kms
