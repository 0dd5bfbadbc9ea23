// Credentials that this machine or container is given over a link-local address.
//
// ECS and EKS: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
// EC2: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
#pragma once

#include <atomic>
#include <string>

#include "base/posix.h"
#include "kms/aws/call.h"

namespace keyhold::kms::aws {

using FetchedCredentials = StatusOr<std::shared_ptr<const AwsCredentials>>;

// The agent of a container. `environment` says where: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, a path at
// 169.254.170.2, or AWS_CONTAINER_CREDENTIALS_FULL_URI, at that address or at 169.254.170.23;
// AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN is sent along.
// kKmsBadCredentials for another host, or an answer without credentials.
bool HasContainer(const Environment& environment);
FetchedCredentials AskContainer(const Environment& environment, Posix& posix, const Caller& caller,
                                absl::Duration budget);

// The instance metadata service, version 2: with a session's token, which no version 1 needs. Safe to use
// from any thread.
class InstanceMetadata {
 public:
  explicit InstanceMetadata(const Caller& caller) : caller_(caller) {}

  // Credentials of the instance's role. kKmsBadCredentials when the instance has none, or nothing has ever
  // answered there: this is no EC2 instance. kKmsUnreachable when it has answered before.
  FetchedCredentials Ask(absl::Duration budget);

 private:
  StatusOr<HttpResponse> Send(HttpRequest request, absl::Duration budget) const;

  const Caller caller_;
  std::atomic<bool> answered_{false};
};

}  // namespace keyhold::kms::aws
