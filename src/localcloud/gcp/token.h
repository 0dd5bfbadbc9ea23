// Access tokens, and the assertions that service accounts get them for.
//
// A token carries all that is known of it, sealed: the local cloud keeps no list of tokens, and one works
// across restarts until it expires. A token of a disabled account is refused where it is used.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "localcloud/gcp/store.h"
#include "localcloud/vault.h"

namespace keyhold::localcloud::gcp {

inline constexpr absl::Duration kTokenLife = absl::Hours(1);

struct TokenClaims {
  std::string email;
  std::vector<std::string> scopes;
  absl::Time expires;

  // Whether it may be used for what takes one of `accepted`, or all of Google Cloud.
  bool HasScope(std::initializer_list<std::string_view> accepted) const;
};

std::string MakeToken(const Vault& vault, const TokenClaims& claims);

// UNAUTHENTICATED, in Google's words, where it was not made here or has expired.
StatusOr<TokenClaims> OpenToken(const Vault& vault, std::string_view token, absl::Time now);

// The claims of an assertion (RFC 7523, RS256) by a key of an account of `store`. kUnauthenticated with the
// text that Google puts into error_description.
StatusOr<TokenClaims> OpenAssertion(Store& store, std::string_view jwt, absl::Time now);

// Whether `token` has the form of a JSON Web Token.
bool IsJwt(std::string_view token);

// A token that an account signed itself, for `host` or for scopes, without asking for one
// (https://google.aip.dev/auth/4111). UNAUTHENTICATED in Google's words.
StatusOr<TokenClaims> OpenSelfSignedToken(Store& store, std::string_view jwt, std::string_view host,
                                          absl::Time now);

}  // namespace keyhold::localcloud::gcp
