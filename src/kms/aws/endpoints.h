// Which host an AWS service is asked at.
//
// https://docs.aws.amazon.com/general/latest/gr/rande.html; AWS_USE_FIPS_ENDPOINT and AWS_ENDPOINT_URL_* as
// in https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "kms/credentials.h"

namespace keyhold::kms::aws {

// The usual hosts, unless the environment names others. Constant once made.
class Endpoints {
 public:
  // AWS_USE_FIPS_ENDPOINT ("true"), AWS_ENDPOINT_URL_KMS and AWS_ENDPOINT_URL_STS. An URL must be that of an
  // interface VPC endpoint of that service, https://vpce-ID.kms.REGION.vpce.amazonaws.com, and holds for its
  // region alone. kInvalidArgument for any other, and for both variables at once.
  static StatusOr<Endpoints> From(const Environment& environment);

  // `service`: "kms" or "sts"; the others come from a parsed ARN. kInvalidArgument where there is no FIPS
  // endpoint.
  StatusOr<std::string> Host(std::string_view service, std::string_view partition,
                             std::string_view region) const;

 private:
  bool fips_ = false;
  std::map<std::string, std::string> private_hosts_;  // "kms.us-east-1" to the VPC endpoint's
};

}  // namespace keyhold::kms::aws
