#include "kms/retry_after.h"

#include "absl/strings/numbers.h"

namespace keyhold::kms {

absl::Duration RetryAfter(const HttpResponse& response) {
  const auto found = response.headers.find("retry-after");
  int seconds = 0;
  if (found == response.headers.end() || !absl::SimpleAtoi(found->second, &seconds) || seconds < 0) {
    return absl::ZeroDuration();
  }
  return absl::Seconds(seconds);
}

}  // namespace keyhold::kms
