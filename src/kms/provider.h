// The real KmsProvider: every cloud's KMS over HTTPS, and the platform's own key.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/posix.h"
#include "crypto/random.h"
#include "kms/credentials.h"
#include "kms/http.h"
#include "kms/kms.h"
#include "kms/retry.h"

namespace keyhold::kms {

// The references must outlive the provider.
struct ProviderOptions {
  Environment environment;        // credentials, proxy and CA variables, read by app
  std::string platform_key_path;  // of the platform's own key (platform_key.h); empty: NULL_KMS is refused
  std::string external_id;        // the organization's id, sent with AssumeRole
  Posix& posix;
  Clock& clock;
  crypto::Random& random;
  Sleeper& sleeper;
};

// kInvalidArgument when the variables contradict themselves (a proxy URL that is none, a CA file that cannot
// be read); missing credentials are an error only when a key is used. Sends nothing.
StatusOr<std::unique_ptr<KmsProvider>> NewProvider(ProviderOptions options);

// The same over a transport of the caller's, which must outlive the provider. For tests.
std::unique_ptr<KmsProvider> NewProvider(ProviderOptions options, HttpTransport& http);

}  // namespace keyhold::kms
