// What a customer does to a key in Google Cloud, and what Keyhold makes of it.
#include <fstream>

#include "localcloud/fault_gate.h"
#include "tests/kms/fixture.h"
#include "tests/kms/gcp_world.h"

namespace keyhold::kms {
namespace {

using ::testing::HasSubstr;

class GcpCustomersKey : public ::testing::Test {
 protected:
  void SetUp() override { EXPECT_EQ(Wrap(), "1"); }
  // The version that did it.
  std::string Wrap() {
    const Wrapped wrapped = *world_.Key().Wrap(crypto::AsBytes(secret_), context_, kBudget);
    wrapped_ = wrapped.bytes;
    return wrapped.version;
  }
  Status Unwrap(absl::Duration budget = kBudget) {
    return world_.Key().Unwrap(crypto::AsBytes(wrapped_), context_, budget).status();
  }
  Status Check(Kms& kms, const std::string& region = "us-east1") {
    return kms.Check(region, context_, kBudget).ToStatus();
  }
  void Version(const std::string& verb) {
    world_.Post(world_.key() + "/cryptoKeyVersions/1:" + verb, localcloud::Json::object());
  }

  const Context context_ = {{"keyhold:cluster", "c1"}};
  const std::string secret_ = std::string(32, 's');
  GcpWorld world_;
  std::string wrapped_;
};

TEST_F(GcpCustomersKey, DisabledAndEnabledAgain) {
  world_.SetState("DISABLED");
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsDisabled);
  EXPECT_EQ(CauseOf(Check(world_.Key())), Cause::kKmsDisabled);
  world_.SetState("ENABLED");
  EXPECT_TRUE(Unwrap().ok());
}

TEST_F(GcpCustomersKey, DestructionScheduledAndRestored) {
  Version("destroy");
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsPendingDeletion);
  EXPECT_EQ(CauseOf(Check(world_.Key())), Cause::kKmsPendingDeletion);
  Version("restore");
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsDisabled) << "as Google leaves it";
  world_.SetState("ENABLED");
  EXPECT_TRUE(Unwrap().ok());
}

TEST_F(GcpCustomersKey, GrantTakenAwayAndGivenBack) {
  world_.Grant(world_.key(), "");
  const Status status = Unwrap();
  EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--member serviceAccount:" + world_.principal()));
  world_.Grant(world_.key(), "roles/cloudkms.cryptoKeyEncrypterDecrypter");
  EXPECT_TRUE(Unwrap().ok());
}

TEST_F(GcpCustomersKey, EachMissingPermissionIsNamedAlone) {
  const std::string encrypt = "useToEncrypt on " + world_.key(), decrypt = "useToDecrypt on " + world_.key();
  for (const bool may_encrypt : {true, false}) {
    world_.Grant(world_.key(),
                 may_encrypt ? "roles/cloudkms.cryptoKeyEncrypter" : "roles/cloudkms.cryptoKeyDecrypter");
    const Status status = Check(world_.Key());
    EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
    const std::string message(status.message());
    EXPECT_EQ(message.find(encrypt) == std::string::npos, may_encrypt) << message;
    EXPECT_EQ(message.find(decrypt) == std::string::npos, !may_encrypt) << message;
  }
}

TEST_F(GcpCustomersKey, OldWrapsOpenAfterRotation) {
  world_.Post(world_.key() + "/cryptoKeyVersions", localcloud::Json::object());
  world_.Post(world_.key() + ":updatePrimaryVersion", {{"cryptoKeyVersionId", "2"}});
  EXPECT_TRUE(Unwrap().ok());
  EXPECT_EQ(Wrap(), "2");
  world_.SetState("DISABLED");
  EXPECT_TRUE(Unwrap().ok()) << "the new version wrapped it";
}

TEST_F(GcpCustomersKey, OfTheWrongKindOrPlaceIsRefused) {
  const std::string signing = world_.NewKey("signing", "ASYMMETRIC_SIGN", "EC_SIGN_P256_SHA256");
  const auto kms = world_.provider().Open({KeyType::kGcpCloudKms, signing, ""});
  EXPECT_EQ(CauseOf(Check(**kms)), Cause::kKmsWrongKey);
  world_.Grant(signing, "roles/cloudkms.viewer");
  EXPECT_THAT(std::string(Check(**kms).message()), HasSubstr("ASYMMETRIC_SIGN"));
  EXPECT_EQ(CauseOf(Check(world_.Key(), "europe-west1")), Cause::kKmsWrongKey);
}

TEST_F(GcpCustomersKey, AnotherKeysWrapDoesNotOpen) {
  const auto kms = world_.provider().Open({KeyType::kGcpCloudKms, world_.NewKey("other"), ""});
  EXPECT_EQ(CauseOf((*kms)->Unwrap(crypto::AsBytes(wrapped_), context_, kBudget).status()),
            Cause::kKmsCorrupt);
}

TEST_F(GcpCustomersKey, ThatIsNotThereIsNoUsableKey) {
  const auto kms = world_.provider().Open(
      {KeyType::kGcpCloudKms, world_.Location() + "/keyRings/ring/cryptoKeys/none", ""});
  EXPECT_EQ(CauseOf(Check(**kms)), Cause::kKmsDenied) << "Google does not tell others which keys there are";
}

TEST_F(GcpCustomersKey, OutagesAreToldApartFromRefusals) {
  world_.cloud().cloud().faults().ClearAll();
  ASSERT_TRUE(world_.cloud().cloud().faults().Add({localcloud::FaultKind::kThrottled}).ok());
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsThrottled);
  world_.cloud().cloud().faults().ClearAll();
  ASSERT_TRUE(world_.cloud().cloud().faults().Add({localcloud::FaultKind::kUnavailable}).ok());
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsUnreachable);
  world_.cloud().cloud().faults().ClearAll();
  EXPECT_TRUE(Unwrap().ok());
  world_.cloud().Stop();
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsUnreachable);
}

TEST_F(GcpCustomersKey, WrongCredentialsAreOurs) {
  auto file = localcloud::Json::parse(localcloud::ReadFile(world_.cloud().File("platform/gcp-key.json")));
  file["private_key_id"] = "another";
  testing::TempDir dir;
  std::ofstream(dir.File("key.json")) << file.dump();
  const auto provider = NewProvider(world_.Options(dir.File("key.json")));
  const auto kms = (*provider)->Open({KeyType::kGcpCloudKms, world_.key(), ""});
  const Status status = (*kms)->Unwrap(crypto::AsBytes(wrapped_), context_, kBudget).status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsBadCredentials);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Invalid JWT Signature"));
}

}  // namespace
}  // namespace keyhold::kms
