// Every test may make secrets, alone in its process or not.
#include <gtest/gtest.h>

#include "crypto/secret.h"

namespace keyhold::testing {
namespace {

class SecretMemory final : public ::testing::Environment {
  void SetUp() override { ASSERT_TRUE(crypto::InitSecretMemory().ok()); }
};

const ::testing::Environment* const kSecretMemory = ::testing::AddGlobalTestEnvironment(new SecretMemory);

}  // namespace
}  // namespace keyhold::testing
