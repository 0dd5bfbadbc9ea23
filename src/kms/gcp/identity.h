// Who the platform is to Google: Application Default Credentials, as far as servers have them.
//
// https://cloud.google.com/docs/authentication/application-default-credentials
#pragma once

#include <memory>
#include <string>

#include "base/posix.h"
#include "kms/credentials.h"
#include "kms/gcp/call.h"

namespace keyhold::kms::gcp {

// Tokens of the platform's own account. Safe to use from any thread.
class Identity : public TokenSource {
 public:
  // The account's address; empty where it is not known: a token says nothing of whose it is.
  virtual std::string Email(absl::Duration budget) = 0;
};

// The first of these that is set:
//   GOOGLE_APPLICATION_CREDENTIALS   a file of the type service_account or external_account
//   CLOUDSDK_AUTH_ACCESS_TOKEN_FILE  a file with a token, which somebody else renews
//   neither                          the machine's metadata server, unless NO_GCE_CHECK is "true"
// Files are read again for each token, so that a changed one is used at once. Sends nothing. The references
// must outlive the result.
std::unique_ptr<Identity> NewPlatformIdentity(const Environment& environment, Posix& posix,
                                              const Caller& caller);

// A token of `account` for `scope`, by the right of `source` to be it (generateAccessToken). kKmsDenied names
// the role that is missing.
StatusOr<AccessToken> Impersonate(const Caller& caller, const std::string& account, std::string_view scope,
                                  TokenSource& source, const std::string& source_name, absl::Duration budget);

}  // namespace keyhold::kms::gcp
