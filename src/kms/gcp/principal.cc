#include "kms/gcp/principal.h"

#include "kms/gcp/oauth.h"

namespace keyhold::kms::gcp {

Principal::Principal(const Caller& caller, std::string auth_principal, Identity& platform)
    : caller_(caller),
      auth_principal_(std::move(auth_principal)),
      platform_(platform),
      impersonated_(
          [this](absl::Duration budget) {
            return Impersonate(caller_, auth_principal_, kKmsScope, platform_, platform_.Email(budget),
                               budget);
          },
          caller_.tools.clock) {}

StatusOr<Token> Principal::Get(absl::Duration budget) {
  const absl::Time deadline = caller_.tools.clock.Now() + budget;
  if (IsPlatform(budget)) return platform_.Get(deadline - caller_.tools.clock.Now());
  return impersonated_.Get(deadline - caller_.tools.clock.Now());
}

void Principal::Forget(const Token& token) {
  platform_.Forget(token);
  impersonated_.Forget(token);
}

std::string Principal::Email(absl::Duration budget) {
  return auth_principal_.empty() ? platform_.Email(budget) : auth_principal_;
}

bool Principal::IsPlatform(absl::Duration budget) {
  return auth_principal_.empty() || platform_.Email(budget) == auth_principal_;
}

}  // namespace keyhold::kms::gcp
