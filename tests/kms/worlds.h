// Places where keys are, for tests that every KMS must pass: the platform's own key, scripted clouds, and the
// local cloud's three, over the real proxy and TLS, as the platform's principal and as one of the customer's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kms/azure/wrap_record.h"
#include "kms/platform_key.h"
#include "localcloud/fault_gate.h"
#include "tests/kms/fake_azure.h"
#include "tests/kms/fixture.h"
#include "tests/kms/gcp_world.h"
#include "tests/localcloud/azure_client.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::kms {

// A place where keys are, and one of them.
class World {
 public:
  virtual ~World() = default;
  virtual Kms& Key() = 0;
  virtual std::string Region() const { return "us-east-1"; }
  virtual size_t LargestSecret() const { return kMaxSecretSize; }
  virtual std::string Usage() const { return "ENCRYPT_DECRYPT"; }
};

// One of the local cloud.
class CloudWorld : public World {
 public:
  virtual localcloud::TestCloud& Cloud() = 0;
  // What a node finds in its environment.
  virtual Environment Variables() = 0;

  // A provider of its own, which has no token yet, with `changed` variables; an empty one is left out.
  std::unique_ptr<KmsProvider> NewProviderWith(const Environment& changed) {
    Environment variables = Variables();
    for (const auto& [name, value] : changed) variables[name] = value;
    std::erase_if(variables, [](const auto& variable) { return variable.second.empty(); });
    return *NewProvider(
        {variables, "", "org-1", SystemPosix(), SystemClock(), crypto::SystemRandom(), SystemSleeper()});
  }

 protected:
  Environment Proxied(Environment credentials) {
    credentials["HTTPS_PROXY"] = "http://127.0.0.1:" + std::to_string(Cloud().cloud().port());
    credentials["AWS_CA_BUNDLE"] = Cloud().File("ca.pem");
    return credentials;
  }
};

class PlatformWorld final : public World {
 public:
  Kms& Key() override { return *kms_; }

 private:
  testing::TempDir dir_;
  const std::unique_ptr<Kms> kms_ =
      *OpenPlatformKey(SystemPosix(), dir_.File("key"), crypto::SystemRandom(), IfMissing::kCreate);
};

class ScriptedWorld final : public World {
 public:
  Kms& Key() override { return *kms_; }

 private:
  testing::FakeAws aws_;
  const std::unique_ptr<KmsProvider> provider_ =
      NewProvider({{{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "S"}},
                   "",
                   "org-1",
                   SystemPosix(),
                   SystemClock(),
                   crypto::SystemRandom(),
                   SystemSleeper()},
                  aws_);
  const std::unique_ptr<Kms> kms_ = *provider_->Open({KeyType::kAwsKms, testing::FakeAws::kKey, ""});
};

inline localcloud::Json Statement(const std::string& principal,
                                  const std::vector<std::string>& actions = {"kms:Encrypt", "kms:Decrypt",
                                                                             "kms:GenerateDataKey",
                                                                             "kms:DescribeKey"}) {
  return {{"Effect", "Allow"}, {"Principal", {{"AWS", principal}}}, {"Action", actions}, {"Resource", "*"}};
}

class LocalCloudWorld : public CloudWorld {
 public:
  explicit LocalCloudWorld(bool as_role = false) : as_role_(as_role) {
    if (as_role) MakeRole();
    Must(cloud.Grant(key, Statement(principal())));
    provider_ = NewProviderWith({});
    kms_ = *provider_->Open({KeyType::kAwsKms, key, as_role ? principal() : ""});
  }

  Kms& Key() override { return *kms_; }
  localcloud::TestCloud& Cloud() override { return cloud; }
  Environment Variables() final {
    return Proxied({{"AWS_SHARED_CREDENTIALS_FILE", cloud.File("platform/aws-credentials")}});
  }
  KmsProvider& provider() { return *provider_; }
  std::string principal() const {
    return as_role_ ? "arn:aws:iam::" + cloud.customer_account() + ":role/cmek" : cloud.platform_arn();
  }
  void Customer(const std::string& operation, localcloud::Json in = localcloud::Json::object()) {
    in["KeyId"] = key;
    Must(cloud.Customer().Kms(operation, in));
  }

  localcloud::TestCloud cloud;
  const std::string key = cloud.NewKey();

 protected:
  static void Must(const localcloud::Answer& answer) { ASSERT_TRUE(answer.ok()) << answer.text; }

 private:
  void MakeRole() {
    const localcloud::Json trust = {{"Version", "2012-10-17"},
                                    {"Statement",
                                     {{{"Effect", "Allow"},
                                       {"Principal", {{"AWS", cloud.platform_arn()}}},
                                       {"Action", "sts:AssumeRole"},
                                       {"Condition", {{"StringEquals", {{"sts:ExternalId", "org-1"}}}}}}}}};
    Must(cloud.Customer().Iam("CreateRole",
                              {{"RoleName", "cmek"}, {"AssumeRolePolicyDocument", trust.dump()}}));
  }

  const bool as_role_;
  std::unique_ptr<KmsProvider> provider_;
  std::unique_ptr<Kms> kms_;
};

class GcpLocalCloudWorld final : public CloudWorld {
 public:
  explicit GcpLocalCloudWorld(bool impersonating = false) : world_(impersonating) {}
  Kms& Key() override { return world_.Key(); }
  localcloud::TestCloud& Cloud() override { return world_.cloud(); }
  Environment Variables() override {
    return Proxied({{"GOOGLE_APPLICATION_CREDENTIALS", world_.cloud().File("platform/gcp-key.json")}});
  }
  std::string Region() const override { return "us-east1"; }

 private:
  GcpWorld world_;
};

template <typename Base>
class AzureWorld : public Base {
 public:
  std::string Region() const override { return "eastus"; }
  std::string Usage() const override { return "encrypt,decrypt,sign,verify,wrapKey,unwrapKey"; }
  size_t LargestSecret() const override { return azure::kMaxWrappable; }
};

class ScriptedAzureWorld final : public AzureWorld<World> {
 public:
  Kms& Key() override { return *kms_; }
  std::string Usage() const override { return "encrypt,decrypt,wrapKey,unwrapKey"; }

 private:
  testing::FakeAzure azure_;
  const std::unique_ptr<KmsProvider> provider_ =
      NewProvider({{{"AZURE_TENANT_ID", testing::FakeAzure::kTenant},
                    {"AZURE_CLIENT_ID", "c"},
                    {"AZURE_CLIENT_SECRET", "s"}},
                   "",
                   "",
                   SystemPosix(),
                   SystemClock(),
                   crypto::SystemRandom(),
                   SystemSleeper()},
                  azure_);
  const std::unique_ptr<Kms> kms_ = *provider_->Open({KeyType::kAzureKeyVault, testing::FakeAzure::kKey, ""});
};

class LocalAzureWorld final : public AzureWorld<CloudWorld> {
 public:
  // With a version in the URI, or for the newest.
  explicit LocalAzureWorld(bool pinned = false) {
    Must(customer.Grant({"get", "wrapKey", "unwrapKey"}));
    const auto made = customer.Vault("POST", "/keys/cmek/create", {{"kty", "RSA"}, {"key_size", 2048}});
    Must(made);
    provider_ = NewProviderWith({});
    const std::string uri = pinned ? made.body["key"]["kid"].get<std::string>() : customer.KeyUri("cmek");
    kms_ = *provider_->Open({KeyType::kAzureKeyVault, uri, ""});
  }

  localcloud::TestCloud& Cloud() override { return cloud; }
  Environment Variables() override {
    return Proxied({{"AZURE_TENANT_ID", customer.principal()["tenant_id"]},
                    {"AZURE_CLIENT_ID", customer.principal()["client_id"]},
                    {"AZURE_CLIENT_CERTIFICATE_PATH", cloud.File("platform/azure-client.pem")}});
  }
  Kms& Key() override { return *kms_; }
  KmsProvider& provider() { return *provider_; }
  static void Must(const localcloud::AzureAnswer& answer) { ASSERT_TRUE(answer.ok()) << answer.text; }

  localcloud::TestCloud cloud;
  const localcloud::AzureClient customer{cloud};

 private:
  std::unique_ptr<KmsProvider> provider_;
  std::unique_ptr<Kms> kms_;
};

struct WorldParam {
  const char* name;
  std::function<std::unique_ptr<World>()> make;
};

inline void PrintTo(const WorldParam& world, std::ostream* out) { *out << world.name; }

}  // namespace keyhold::kms
