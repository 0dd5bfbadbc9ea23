// What can be known of a key before a cluster depends on it: a dry run, line by line, that changes nothing.
#pragma once

#include "base/clock.h"
#include "crypto/random.h"
#include "kms/kms.h"
#include "wire/node.h"

namespace keyhold::node {

// Reach, credentials, region, kind and state of the key, each permission on its own, a wrap and its unwrap,
// and the seed's safety list, within `budget`. FAIL: the cluster could not use the key; WARN: it could, and
// there is something that the user should see to, which Keyhold's permissions do not show. Every line that is
// not PASS says what to do.
wire::CheckReport CheckKey(kms::Kms& kms, const std::string& region, const kms::Context& context,
                           const Clock& clock, crypto::Random& random, absl::Duration budget);

// When the KMS will destroy the key, asked within two seconds; InfiniteFuture: never, or it does not say.
absl::Time DeletionOf(kms::KmsProvider& provider, const wire::KeySpec& key);

}  // namespace keyhold::node
