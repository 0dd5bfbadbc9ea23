// The key that kms_test's command line names, for the conformance suite to run against: a real cloud's, or
// another implementation's.
//
//   kms_test --key-spec='{"type":"AWS_KMS","uri":"arn:...","auth_principal":"..."}' --region=us-east-1
//            --gtest_filter='Named/*'
//
// Credentials, proxy and CA: as a node's, by variables. Its cloud bills every call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/kms/worlds.h"

namespace keyhold::kms {

struct NamedKey {
  KeySpec spec;
  std::string region;
};

// Empty, or one. Set by main(), before the tests are registered.
std::vector<NamedKey>& NamedKeys();

class NamedWorld final : public World {
 public:
  explicit NamedWorld(const NamedKey& named);
  Kms& Key() override { return *key_; }
  std::string Region() const override { return named_.region; }
  size_t LargestSecret() const override;
  // As its cloud describes a key that was made with the defaults.
  std::string Usage() const override;

 private:
  const NamedKey named_;
  std::unique_ptr<KmsProvider> provider_;
  std::unique_ptr<Kms> key_;
};

}  // namespace keyhold::kms
