#include "crypto/rsa.h"

#include <gtest/gtest.h>

namespace keyhold::crypto {
namespace {

class Rsa : public ::testing::Test {
 protected:
  static const RsaPrivateKey& Key() {
    static const RsaPrivateKey key = *RsaPrivateKey::Generate(2048);
    return key;
  }
};

TEST_F(Rsa, SignaturesVerifyAndNothingElseDoes) {
  const std::string signature = Key().Sign(AsBytes("header.payload"));
  const std::string pem = Key().PublicPem();
  EXPECT_EQ(signature.size(), 256U);
  EXPECT_TRUE(VerifyRs256(pem, AsBytes("header.payload"), AsBytes(signature)).ok());
  EXPECT_EQ(CauseOf(VerifyRs256(pem, AsBytes("header.payloae"), AsBytes(signature))),
            Cause::kUnauthenticated);
  for (const size_t at : {size_t{0}, signature.size() - 1}) {
    std::string altered = signature;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    EXPECT_EQ(CauseOf(VerifyRs256(pem, AsBytes("header.payload"), AsBytes(altered))),
              Cause::kUnauthenticated);
  }
  EXPECT_EQ(CauseOf(VerifyRs256(pem, AsBytes("header.payload"), AsBytes(signature.substr(1)))),
            Cause::kUnauthenticated);
  EXPECT_EQ(CauseOf(VerifyRs256(pem, AsBytes("header.payload"), {})), Cause::kUnauthenticated);
}

TEST_F(Rsa, AnotherKeysSignatureDoesNotVerify) {
  const RsaPrivateKey other = *RsaPrivateKey::Generate(2048);
  EXPECT_EQ(CauseOf(VerifyRs256(Key().PublicPem(), AsBytes("x"), AsBytes(other.Sign(AsBytes("x"))))),
            Cause::kUnauthenticated);
}

TEST_F(Rsa, PemGoesThereAndBack) {
  const SecretBytes pem = Key().ToPem();
  EXPECT_TRUE(pem.ExposeText().starts_with("-----BEGIN PRIVATE KEY-----\n"));
  const auto read = RsaPrivateKey::FromPem(pem.Expose());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->PublicPem(), Key().PublicPem());
  EXPECT_EQ(read->Sign(AsBytes("x")), Key().Sign(AsBytes("x"))) << "PKCS #1 v1.5 has no randomness";
}

TEST_F(Rsa, RefusesWhatIsNoKeyOfOurs) {
  const std::string pem(Key().ToPem().ExposeText());
  for (const std::string& bad : {std::string(), std::string("x"), pem.substr(0, pem.size() / 2),
                                 Key().PublicPem(), std::string(100 << 10, 'A')}) {
    EXPECT_EQ(CauseOf(RsaPrivateKey::FromPem(AsBytes(bad)).status()), Cause::kInvalidArgument);
  }
  EXPECT_EQ(CauseOf(RsaPrivateKey::Generate(1024).status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(VerifyRs256("x", AsBytes("x"), AsBytes("x"))), Cause::kInvalidArgument);
}

}  // namespace
}  // namespace keyhold::crypto
