// A key of a customer in the local cloud's Cloud KMS, and Keyhold's way to it: over the real proxy and TLS,
// with the platform's own key file.
#pragma once

#include <memory>
#include <string>

#include "kms/provider.h"
#include "tests/localcloud/gcp_client.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::kms {

class GcpWorld {
 public:
  static constexpr char kHost[] = "cloudkms.googleapis.com";

  // As the platform's own account, or as one of the customer's that it may impersonate.
  explicit GcpWorld(bool impersonating = false) {
    principal_ = Principals()["service_account"].get<std::string>();
    if (impersonating) MakeAccount();
    Post(Location() + "/keyRings?keyRingId=ring", localcloud::Json::object());
    key_ = NewKey("key");
    provider_ = *NewProvider(Options(cloud_.File("platform/gcp-key.json")));
    kms_ = *provider_->Open({KeyType::kGcpCloudKms, key_, impersonating ? principal_ : ""});
  }

  Kms& Key() { return *kms_; }
  KmsProvider& provider() { return *provider_; }
  localcloud::TestCloud& cloud() { return cloud_; }
  const std::string& key() const { return key_; }
  const std::string& principal() const { return principal_; }

  ProviderOptions Options(const std::string& key_file) {
    return {{{"GOOGLE_APPLICATION_CREDENTIALS", key_file},
             {"HTTPS_PROXY", "http://127.0.0.1:" + std::to_string(cloud_.cloud().port())},
             {"REQUESTS_CA_BUNDLE", cloud_.File("ca.pem")}},
            "",
            "org-1",
            SystemPosix(),
            SystemClock(),
            crypto::SystemRandom(),
            SystemSleeper()};
  }

  std::string Location() { return "projects/" + Project() + "/locations/us-east1"; }

  // A key of the ring with one version; the principal may encrypt and decrypt by it.
  std::string NewKey(const std::string& id, const std::string& purpose = "ENCRYPT_DECRYPT",
                     const std::string& algorithm = "GOOGLE_SYMMETRIC_ENCRYPTION") {
    Post(Location() + "/keyRings/ring/cryptoKeys?cryptoKeyId=" + id,
         {{"purpose", purpose}, {"versionTemplate", {{"algorithm", algorithm}}}});
    const std::string name = Location() + "/keyRings/ring/cryptoKeys/" + id;
    Grant(name, "roles/cloudkms.cryptoKeyEncrypterDecrypter");
    return name;
  }

  void Grant(const std::string& key, const std::string& role) {
    localcloud::Json policy = {{"bindings", localcloud::Json::array()}};
    if (!role.empty()) {
      policy["bindings"].push_back({{"role", role}, {"members", {"serviceAccount:" + principal_}}});
    }
    Post(key + ":setIamPolicy", {{"policy", policy}});
  }
  void SetState(const std::string& state) {
    const auto answer =
        Customer().Patch(kHost, key_ + "/cryptoKeyVersions/1?updateMask=state", {{"state", state}});
    ASSERT_EQ(answer.status, 200) << answer.text;
  }
  void Post(const std::string& path, const localcloud::Json& body, const std::string& host = kHost) {
    const auto answer = Customer().Post(host, path, body);
    ASSERT_EQ(answer.status, 200) << answer.text;
  }

 private:
  localcloud::gcp::GcpClient Customer() {
    return localcloud::gcp::GcpClient(cloud_, localcloud::ReadFile(cloud_.File("customer/gcp-access-token")));
  }
  localcloud::Json Principals() {
    return localcloud::Json::parse(localcloud::ReadFile(cloud_.File("principals.json")))["gcp"];
  }
  std::string Project() {
    const auto customer = localcloud::Json::parse(localcloud::ReadFile(cloud_.File("customer.json")));
    return customer["gcp"]["project"].get<std::string>();
  }

  void MakeAccount() {
    const std::string iam = "iam.googleapis.com";
    Post("projects/" + Project() + "/serviceAccounts", {{"accountId", "cmek-user"}}, iam);
    const std::string platform = principal_;
    principal_ = "cmek-user@" + Project() + ".iam.gserviceaccount.com";
    Post("projects/" + Project() + "/serviceAccounts/" + principal_ + ":setIamPolicy",
         {{"policy",
           {{"bindings",
             {{{"role", "roles/iam.serviceAccountTokenCreator"},
               {"members", {"serviceAccount:" + platform}}}}}}}},
         iam);
  }

  localcloud::TestCloud cloud_;
  std::string principal_, key_;
  std::unique_ptr<KmsProvider> provider_;
  std::unique_ptr<Kms> kms_;
};

}  // namespace keyhold::kms
