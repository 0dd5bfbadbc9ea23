// How long an HTTP answer asks to be left alone.
#pragma once

#include "absl/time/time.h"
#include "kms/http.h"

namespace keyhold::kms {

// Of a Retry-After header in seconds (RFC 9110 section 10.2.3); zero where there is none, or a date.
absl::Duration RetryAfter(const HttpResponse& response);

}  // namespace keyhold::kms
