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

TEST_F(Rsa, WhatThePublicKeyEncryptsThePrivateKeyOpensWithItsLabel) {
  const auto key = RsaPublicKey::FromPem(Key().PublicPem());
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->Pem(), Key().PublicPem());
  for (const std::string& secret : {std::string(), std::string(32, 's'), std::string(190, 'x')}) {
    const auto sealed = key->Encrypt(AsBytes(secret), AsBytes("label"));
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    EXPECT_EQ(sealed->size(), 256U);
    EXPECT_EQ(Key().Decrypt(AsBytes(*sealed), AsBytes("label"))->ExposeText(), secret);
    EXPECT_EQ(CauseOf(Key().Decrypt(AsBytes(*sealed), AsBytes("labem")).status()), Cause::kCorrupt);
    EXPECT_EQ(CauseOf(Key().Decrypt(AsBytes(*sealed), {}).status()), Cause::kCorrupt);
    std::string altered = *sealed;
    altered[100] = static_cast<char>(altered[100] ^ 1);
    EXPECT_EQ(CauseOf(Key().Decrypt(AsBytes(altered), AsBytes("label")).status()), Cause::kCorrupt);
    EXPECT_NE(*key->Encrypt(AsBytes(secret), AsBytes("label")), *sealed);
  }
  EXPECT_EQ(CauseOf(key->Encrypt(AsBytes(std::string(191, 'x')), AsBytes("label")).status()),
            Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(Key().Decrypt(AsBytes("x"), AsBytes("label")).status()), Cause::kCorrupt);
}

// As `openssl pkey -pubin -outform DER | sha256sum` has it, of a key made by openssl genpkey.
TEST_F(Rsa, TheFingerprintIsTheDigestOfTheKeysDer) {
  constexpr char kPem[] =
      "-----BEGIN PUBLIC KEY-----\n"
      "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvZuDK5NSe4u31jCmq+X0\n"
      "782SxMZr2d5xGA5DnQqkWIyJz71wZP4sAAXWJyI3mXE5g5H+CGjQ6gkn/J5SPMlc\n"
      "pqKYHQCFszDobjur97HukljM0h4AJfP7/6LBVdDSNdjB/ngnshA/lZIykt+bv1Oz\n"
      "49yjP6deo2XJpYckir2ico9jMFdDTFFVz8OPEnIJWnsOqlqX6HFt8LPTBl5Kv/Qv\n"
      "cjh6Y0NQXmvwMRG/Deo3gHdjq19AJitKW7Qjiz0LK/x7DfPg+cfnaxvNIKUz3YJO\n"
      "wUqM4r7R+NxDhCJB6CQjJiJXKCC+3vaOpDmJyXZ/dw0XCb3g1tWWvnP2sl3mJIAq\n"
      "5QIDAQAB\n"
      "-----END PUBLIC KEY-----\n";
  EXPECT_EQ(RsaPublicKey::FromPem(kPem)->Fingerprint(),
            "f3e42dbcd72a9ea086a0430cf6f0b2fd72bcb6a11bf1d5487f488f1b7beb60d1");
  EXPECT_EQ(CauseOf(RsaPublicKey::FromPem("x").status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(RsaPublicKey::FromPem(Key().ToPem().ExposeText()).status()), Cause::kInvalidArgument);
}

}  // namespace
}  // namespace keyhold::crypto
