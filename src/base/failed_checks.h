// Several checks that failed, told as one error.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace keyhold {

struct FailedCheck {
  std::string name;
  Cause cause;
  std::string message;
};

// `failed` is not empty. The first one's cause and message, which has what to do, after the names of all:
// "kms:Encrypt, kms:Decrypt: the KMS refused ...".
Status FailedChecks(const std::vector<FailedCheck>& failed);

}  // namespace keyhold
