#include "kms/provider.h"

#include "kms/aws/aws_kms.h"
#include "kms/aws/platform.h"
#include "kms/azure/azure_kms.h"
#include "kms/gcp/gcp_kms.h"
#include "kms/platform_key.h"
#include "kms/text.h"

namespace keyhold::kms {
namespace {

class Provider final : public KmsProvider {
 public:
  Provider(ProviderOptions options, HttpTransport& http)
      : options_(std::move(options)),
        http_(http),
        endpoints_(aws::Endpoints::From(options_.environment)),
        platform_(aws::NewPlatformCredentials(options_.environment, options_.posix, AwsCaller())),
        google_(gcp::NewPlatformIdentity(options_.environment, options_.posix, GoogleCaller())),
        azure_(azure::NewTokens(options_.environment, options_.posix, http_, Tools())) {}
  Provider(ProviderOptions options, std::unique_ptr<HttpTransport> http)
      : Provider(std::move(options), *http) {
    owned_http_ = std::move(http);
  }

  StatusOr<std::unique_ptr<Kms>> Open(const KeySpec& spec) override {
    switch (spec.type) {
      case KeyType::kNullKms:
        return OpenPlatform();
      case KeyType::kAwsKms: {
        // What reaches here was checked once; a key ring's own word for it is not enough.
        KEYHOLD_ASSIGN_OR_RETURN(const KeySpec checked,
                                 MakeKeySpec(KeyTypeName(spec.type), spec.uri, spec.auth_principal));
        KEYHOLD_RETURN_IF_ERROR(endpoints_.status());
        return aws::NewAwsKms(checked, AwsCaller(), *platform_, options_.external_id);
      }
      case KeyType::kGcpCloudKms: {
        KEYHOLD_ASSIGN_OR_RETURN(const KeySpec checked,
                                 MakeKeySpec(KeyTypeName(spec.type), spec.uri, spec.auth_principal));
        return gcp::NewGcpKms(checked, GoogleCaller(), *google_);
      }
      case KeyType::kAzureKeyVault: {
        KEYHOLD_ASSIGN_OR_RETURN(const KeySpec checked,
                                 MakeKeySpec(KeyTypeName(spec.type), spec.uri, spec.auth_principal));
        return azure::NewAzureKms(checked, http_, Tools(), *azure_);
      }
    }
    return Error(Cause::kInternal, "a key spec of no type");
  }

 private:
  RetryTools Tools() const { return {options_.clock, options_.sleeper, options_.random}; }
  aws::Caller AwsCaller() const { return {http_, Tools(), endpoints_.ok() ? *endpoints_ : aws::Endpoints()}; }
  gcp::Caller GoogleCaller() const { return {http_, Tools()}; }

  StatusOr<std::unique_ptr<Kms>> OpenPlatform() {
    if (options_.platform_key_path.empty()) {
      return Error(Cause::kFailedPrecondition,
                   "this store is under the platform's own key, and no platform key file was given");
    }
    return OpenPlatformKey(options_.posix, options_.platform_key_path, options_.random, IfMissing::kFail);
  }

  const ProviderOptions options_;
  HttpTransport& http_;
  std::unique_ptr<HttpTransport> owned_http_;
  const StatusOr<aws::Endpoints> endpoints_;
  const std::unique_ptr<AwsCredentialSource> platform_;
  const std::unique_ptr<gcp::Identity> google_;
  const std::unique_ptr<azure::Tokens> azure_;
};

}  // namespace

StatusOr<std::unique_ptr<KmsProvider>> NewProvider(ProviderOptions options) {
  KEYHOLD_ASSIGN_OR_RETURN(std::unique_ptr<HttpTransport> http,
                           NewHttpTransport(HttpOptionsFrom(options.environment)));
  return std::make_unique<Provider>(std::move(options), std::move(http));
}

std::unique_ptr<KmsProvider> NewProvider(ProviderOptions options, HttpTransport& http) {
  return std::make_unique<Provider>(std::move(options), http);
}

}  // namespace keyhold::kms
