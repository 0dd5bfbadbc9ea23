// The platform's own credentials and the way to the clouds, from environment variables.
//
// This room never reads the environment: app hands over the variables as a value. The names are the vendors'
// own, so that a node runs with what aws runs with:
//   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE, AWS_PROFILE, HOME, and what else aws/platform.h names
//   GOOGLE_APPLICATION_CREDENTIALS, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE, NO_GCE_CHECK
//   AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH,
//   AZURE_FEDERATED_TOKEN_FILE (azure/tokens.h)
//   HTTPS_PROXY or https_proxy, NO_PROXY or no_proxy
//   AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or SSL_CERT_FILE: the first that is set, for all clouds
// https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "kms/http.h"

namespace keyhold::kms {

// Variable name to value.
using Environment = std::map<std::string, std::string>;

// Empty where it is not set.
std::string Value(const Environment& environment, const std::string& name);

// The names above: what app reads, and what a parent passes on to a node.
std::span<const char* const> EnvironmentNames();

// Proxy and CA file of `environment`.
HttpOptions HttpOptionsFrom(const Environment& environment);

// Where credentials come from. Safe to use from any thread.
class AwsCredentialSource {
 public:
  virtual ~AwsCredentialSource() = default;
  // Valid credentials, fetched or renewed within `budget`; null: requests go unsigned. kKmsBadCredentials
  // when there are none.
  virtual StatusOr<std::shared_ptr<const AwsCredentials>> Get(absl::Duration budget) = 0;
};

}  // namespace keyhold::kms
