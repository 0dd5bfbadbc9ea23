#include "kms/credentials.h"

namespace keyhold::kms {
namespace {

constexpr const char* kNames[] = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE", "AWS_PROFILE", "HOME", "AWS_REGION", "AWS_DEFAULT_REGION",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED", "AWS_USE_FIPS_ENDPOINT", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_STS",
    "AWS_CA_BUNDLE",
    // GCP
    "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "NO_GCE_CHECK",
    // Azure
    "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    // every cloud
    "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"};

// curl's order: the lower case name first.
std::string ProxyValue(const Environment& environment, const std::string& upper, const std::string& lower) {
  const std::string value = Value(environment, lower);
  return value.empty() ? Value(environment, upper) : value;
}

}  // namespace

std::string Value(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

std::span<const char* const> EnvironmentNames() { return kNames; }

HttpOptions HttpOptionsFrom(const Environment& environment) {
  HttpOptions options;
  options.https_proxy = ProxyValue(environment, "HTTPS_PROXY", "https_proxy");
  options.no_proxy = ProxyValue(environment, "NO_PROXY", "no_proxy");
  // One transport serves all clouds: whichever client's variable is set first.
  for (const char* name : {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (options.ca_file.empty()) options.ca_file = Value(environment, name);
  }
  return options;
}

}  // namespace keyhold::kms
