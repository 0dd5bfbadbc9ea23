// Which AWS service and region a host name stands for.
//
// docs.aws.amazon.com/general/latest/gr/kms.html, .../sts.html, .../iam-service.html: regional endpoints
// SERVICE.REGION.amazonaws.com, KMS's FIPS ones kms-fips.REGION, and the global ones of STS and IAM.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace keyhold::localcloud::aws {

enum class Service { kKms, kSts, kIam };

struct Endpoint {
  Service service;
  std::string region;  // global endpoints: "us-east-1", with which they are signed
};

// Nothing for any other name. `host` is in lower case.
std::optional<Endpoint> EndpointOf(std::string_view host);

// "kms", "sts", "iam": the service's name in a credential scope and before the colon of an action.
std::string_view ServiceName(Service service);

}  // namespace keyhold::localcloud::aws
