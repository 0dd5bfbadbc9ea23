// NULL_KMS: the platform's own key, a file of 32 random bytes, which wraps store keys before CMEK is enabled,
// so that data is never written in clear. It is no protection against the platform's operator.
#pragma once

#include <memory>
#include <string>

#include "base/posix.h"
#include "crypto/random.h"
#include "kms/kms.h"

namespace keyhold::kms {

// What Open does where there is no file.
enum class IfMissing { kFail, kCreate };

// The key in the file `path`, mode 0600, owned by this user; made first if asked for (durably, and never over
// an existing one; two processes that create at once end up with one key). kFailedPrecondition when it is
// missing, or readable by others; kCorrupt when it does not have 32 bytes. `random` must outlive the result.
// Wrapped form: crypto::SealBox bound to the context.
StatusOr<std::unique_ptr<Kms>> OpenPlatformKey(Posix& posix, const std::string& path, crypto::Random& random,
                                               IfMissing if_missing);

}  // namespace keyhold::kms
