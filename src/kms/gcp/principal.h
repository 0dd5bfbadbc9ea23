// As whom a key is used: the platform's own account, or the customer's, which it may impersonate.
#pragma once

#include <string>

#include "kms/gcp/identity.h"

namespace keyhold::kms::gcp {

// The tokens of one auth_principal. Empty, or the platform's own address: the platform's tokens as they are.
// Another service account: tokens of it, renewed before they end. Safe to use from any thread.
class Principal final : public TokenSource {
 public:
  // `auth_principal` has been checked. The references must outlive this.
  Principal(const Caller& caller, std::string auth_principal, Identity& platform);

  StatusOr<Token> Get(absl::Duration budget) override;
  void Forget(const Token& token) override;

  // The address to grant access to; empty where it is not known.
  std::string Email(absl::Duration budget);

 private:
  bool IsPlatform(absl::Duration budget);

  const Caller caller_;
  const std::string auth_principal_;
  Identity& platform_;
  CachedTokens impersonated_;
};

}  // namespace keyhold::kms::gcp
