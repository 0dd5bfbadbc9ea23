// API keys: who may call the Cloud API. A key is CCDB1_, 22 characters of id, _, 40 characters of secret; at
// rest there is its SHA-256 alone, which is enough for secrets of 238 random bits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/core.h"
#include "crypto/secret.h"

namespace keyhold::control {

inline constexpr size_t kApiKeyIdSize = 22;
inline constexpr size_t kApiKeySecretSize = 40;

// A key that was just made: the only time that its text is known.
struct NewApiKey {
  ApiKey key;
  crypto::SecretBytes text;
};

// Safe to use from any thread. Every change, made or refused, is in the audit log.
class ApiKeys {
 public:
  explicit ApiKeys(Core& core) : core_(core) {}

  // The caller's account, from a key's text. kUnauthenticated. Takes the same time whatever is wrong with a
  // secret.
  StatusOr<Caller> Authenticate(std::string_view text);

  StatusOr<NewApiKey> Create(const Caller& caller, const std::string& service_account_id,
                             const std::string& name);
  StatusOr<std::vector<ApiKey>> List(const std::string& service_account_id);  // empty: of every account
  StatusOr<ApiKey> Get(const std::string& id);
  StatusOr<ApiKey> Rename(const Caller& caller, const std::string& id, const std::string& name);
  // kFailedPrecondition: no ORG_ADMIN would have a key any more.
  StatusOr<ApiKey> Delete(const Caller& caller, const std::string& id);

 private:
  Core& core_;
};

// A fresh key's text; and the record for a text, which must have a key's form.
crypto::SecretBytes NewApiKeyText(crypto::Random& random);
bool HasApiKeyForm(std::string_view text);
ApiKey ApiKeyOf(std::string_view text, const std::string& service_account_id, const std::string& name,
                absl::Time created_at);

// `size` random characters of A-Z, a-z and 0-9.
crypto::SecretBytes RandomText(crypto::Random& random, size_t size);

}  // namespace keyhold::control
