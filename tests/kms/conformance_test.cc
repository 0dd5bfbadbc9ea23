// What every KMS must do, run against each (worlds.h).
#include <thread>

#include "absl/strings/match.h"
#include "kms/azure/wrap_record.h"
#include "tests/kms/named_key.h"
#include "tests/kms/worlds.h"

namespace keyhold::kms {
namespace {

using ::testing::HasSubstr;

class Conformance : public ::testing::TestWithParam<WorldParam> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(crypto::InitSecretMemory().ok());
    world_ = GetParam().make();
  }
  Kms& Key() { return world_->Key(); }
  StatusOr<std::string> Wrap(const std::string& secret) {
    return BytesOf(Key().Wrap(crypto::AsBytes(secret), context_, kBudget));
  }
  StatusOr<crypto::SecretBytes> Unwrap(const std::string& wrapped, const Context& context) {
    return Key().Unwrap(crypto::AsBytes(wrapped), context, kBudget);
  }

  const Context context_ = {
      {"keyhold:cluster", "c1"}, {"keyhold:region", "us-east-1"}, {"keyhold:store", "s1"}};
  const std::string secret_ = std::string(32, 's');
  std::unique_ptr<World> world_;
};

TEST_P(Conformance, UnwrapsWhatItWrapped) {
  for (const size_t size : {size_t{1}, size_t{32}, world_->LargestSecret()}) {
    const std::string secret(size, 's');
    const auto wrapped = Wrap(secret);
    ASSERT_TRUE(wrapped.ok()) << wrapped.status();
    EXPECT_EQ(wrapped->find(secret.substr(0, 16)), size == 1 ? wrapped->find('s') : std::string::npos);
    const auto opened = Unwrap(*wrapped, context_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->ExposeText(), secret);
  }
}

TEST_P(Conformance, NoTwoWrapsAreAlike) { EXPECT_NE(*Wrap(secret_), *Wrap(secret_)); }

TEST_P(Conformance, BindsToTheContext) {
  const std::string wrapped = *Wrap(secret_);
  Context other = context_;
  other["keyhold:store"] = "s2";
  EXPECT_EQ(CauseOf(Unwrap(wrapped, other).status()), Cause::kKmsCorrupt);
  other = context_;
  other.erase("keyhold:region");
  EXPECT_EQ(CauseOf(Unwrap(wrapped, other).status()), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Unwrap(wrapped, {}).status()), Cause::kKmsCorrupt);
}

TEST_P(Conformance, RefusesWhatItDidNotWrap) {
  std::string wrapped = *Wrap(secret_);
  wrapped[wrapped.size() / 2] = static_cast<char>(wrapped[wrapped.size() / 2] ^ 1);
  EXPECT_EQ(CauseOf(Unwrap(wrapped, context_).status()), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Unwrap("x", context_).status()), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Unwrap("", context_).status()), Cause::kKmsCorrupt);
}

TEST_P(Conformance, RefusesSecretsOfImpossibleSize) {
  EXPECT_EQ(CauseOf(Wrap("").status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(Wrap(std::string(world_->LargestSecret() + 1, 's')).status()), Cause::kInvalidArgument);
}

TEST_P(Conformance, DescribesAnEnabledKey) {
  const auto description = Key().Describe(kBudget);
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->uri, Key().Spec().uri);
  EXPECT_TRUE(absl::EqualsIgnoreCase(description->state, "Enabled")) << description->state;
  EXPECT_EQ(description->usage, world_->Usage());
}

TEST_P(Conformance, ChecksItselfUsable) {
  const CheckReport report = Key().Check(world_->Region(), context_, kBudget);
  EXPECT_TRUE(report.Usable()) << report.ToStatus();
}

TEST_P(Conformance, ServesManyThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto wrapped = Wrap(secret_);
      if (wrapped.ok() && Unwrap(*wrapped, context_).ok()) ++good;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 4);
}

INSTANTIATE_TEST_SUITE_P(
    Worlds, Conformance,
    ::testing::Values(WorldParam{"PlatformKey", [] { return std::make_unique<PlatformWorld>(); }},
                      WorldParam{"ScriptedAws", [] { return std::make_unique<ScriptedWorld>(); }},
                      WorldParam{"LocalCloud", [] { return std::make_unique<LocalCloudWorld>(); }},
                      WorldParam{"LocalCloudAsRole", [] { return std::make_unique<LocalCloudWorld>(true); }},
                      WorldParam{"ScriptedAzure", [] { return std::make_unique<ScriptedAzureWorld>(); }},
                      WorldParam{"LocalAzure", [] { return std::make_unique<LocalAzureWorld>(); }},
                      WorldParam{"LocalAzureVersion", [] { return std::make_unique<LocalAzureWorld>(true); }},
                      WorldParam{"Gcp", [] { return std::make_unique<GcpLocalCloudWorld>(); }},
                      WorldParam{"GcpImpersonated",
                                 [] { return std::make_unique<GcpLocalCloudWorld>(true); }}),
    [](const auto& info) { return info.param.name; });

// None, unless the command line names one.
std::vector<WorldParam> NamedWorlds() {
  std::vector<WorldParam> worlds;
  for (const NamedKey& key : NamedKeys()) {
    worlds.push_back({"Key", [key] { return std::make_unique<NamedWorld>(key); }});
  }
  return worlds;
}
INSTANTIATE_TEST_SUITE_P(Named, Conformance, ::testing::ValuesIn(NamedWorlds()),
                         [](const auto& info) { return info.param.name; });

// What a customer does to a key, and what Keyhold makes of it.
class CustomersKey : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(crypto::InitSecretMemory().ok());
    world_ = std::make_unique<LocalCloudWorld>();
    wrapped_ = *BytesOf(world_->Key().Wrap(crypto::AsBytes(secret_), context_, kBudget));
  }
  Status Unwrap(absl::Duration budget = kBudget) {
    return world_->Key().Unwrap(crypto::AsBytes(wrapped_), context_, budget).status();
  }
  Status Check(const std::string& region = "us-east-1") {
    return world_->Key().Check(region, context_, kBudget).ToStatus();
  }

  const Context context_ = {{"keyhold:cluster", "c1"}};
  const std::string secret_ = std::string(32, 's');
  std::unique_ptr<LocalCloudWorld> world_;
  std::string wrapped_;
};

TEST_F(CustomersKey, DisabledAndEnabledAgain) {
  world_->Customer("DisableKey");
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsDisabled);
  EXPECT_EQ(CauseOf(Check()), Cause::kKmsDisabled);
  world_->Customer("EnableKey");
  EXPECT_TRUE(Unwrap().ok());
}

TEST_F(CustomersKey, DeletionScheduledCancelledAndCarriedOut) {
  world_->Customer("ScheduleKeyDeletion", {{"PendingWindowInDays", 7}});
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsPendingDeletion);
  EXPECT_EQ(CauseOf(Check()), Cause::kKmsPendingDeletion);
  world_->Customer("CancelKeyDeletion");
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsDisabled) << "as AWS leaves it";
  world_->Customer("EnableKey");
  EXPECT_TRUE(Unwrap().ok());
}

TEST_F(CustomersKey, EachMissingGrantIsNamedAlone) {
  const std::vector<std::string> all = {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey",
                                        "kms:DescribeKey"};
  for (const std::string& missing : all) {
    std::vector<std::string> granted = all;
    std::erase(granted, missing);
    ASSERT_TRUE(world_->cloud.Grant(world_->key, Statement(world_->principal(), granted)).ok());
    const Status status = Check();
    EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr(missing + " on " + world_->key + " as " + world_->principal()));
    for (const std::string& other : granted)
      EXPECT_EQ(message.find(other + " on "), std::string::npos) << other;
    EXPECT_THAT(message, HasSubstr(R"("Principal":{"AWS":")" + world_->principal() + "\"}"));
  }
}

TEST_F(CustomersKey, GrantTakenAwayAndGivenBack) {
  const std::string owner = "arn:aws:iam::" + world_->cloud.customer_account() + ":root";
  ASSERT_TRUE(world_->cloud.Grant(world_->key, Statement(owner)).ok());
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsDenied);
  ASSERT_TRUE(world_->cloud.Grant(world_->key, Statement(world_->principal())).ok());
  EXPECT_TRUE(Unwrap().ok());
}

TEST_F(CustomersKey, OldWrapsOpenAfterRotation) {
  world_->Customer("RotateKeyOnDemand");
  EXPECT_TRUE(Unwrap().ok());
  EXPECT_TRUE(Check().ok());
}

TEST_F(CustomersKey, OfTheWrongKindIsRefused) {
  const std::string rsa = world_->cloud.NewKey({{"KeyUsage", "SIGN_VERIFY"}, {"KeySpec", "RSA_2048"}});
  ASSERT_TRUE(world_->cloud.Grant(rsa, Statement(world_->principal())).ok());
  const auto kms = world_->provider().Open({KeyType::kAwsKms, rsa, ""});
  const Status status = (*kms)->Check("us-east-1", context_, kBudget).ToStatus();
  EXPECT_EQ(CauseOf(status), Cause::kKmsWrongKey);
  EXPECT_THAT(std::string(status.message()), HasSubstr("RSA_2048"));
}

TEST_F(CustomersKey, OfAnotherRegionIsRefused) {
  EXPECT_EQ(CauseOf(Check("eu-west-1")), Cause::kKmsWrongKey);
}

TEST_F(CustomersKey, ThatIsNotThereIsNoUsableKey) {
  const std::string none = world_->key.substr(0, world_->key.size() - 12) + "000000000000";
  const auto kms = world_->provider().Open({KeyType::kAwsKms, none, ""});
  const Cause cause = CauseOf((*kms)->Check("us-east-1", context_, kBudget).ToStatus());
  EXPECT_TRUE(cause == Cause::kKmsDenied || cause == Cause::kKmsKeyNotFound)
      << "AWS does not tell another account which keys there are: " << CauseName(cause);
}

TEST_F(CustomersKey, AnotherKeysWrapDoesNotOpen) {
  const std::string other = world_->cloud.NewKey();
  ASSERT_TRUE(world_->cloud.Grant(other, Statement(world_->principal())).ok());
  const auto kms = world_->provider().Open({KeyType::kAwsKms, other, ""});
  EXPECT_EQ(CauseOf((*kms)->Unwrap(crypto::AsBytes(wrapped_), context_, kBudget).status()),
            Cause::kKmsCorrupt);
}

TEST_F(CustomersKey, OutagesAreToldApartFromRefusals) {
  world_->cloud.cloud().faults().ClearAll();
  ASSERT_TRUE(world_->cloud.cloud().faults().Add({localcloud::FaultKind::kThrottled}).ok());
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsThrottled);
  world_->cloud.cloud().faults().ClearAll();
  ASSERT_TRUE(world_->cloud.cloud().faults().Add({localcloud::FaultKind::kUnavailable}).ok());
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsUnreachable);
  world_->cloud.cloud().faults().ClearAll();
  EXPECT_TRUE(Unwrap().ok());
  world_->cloud.Stop();
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsUnreachable);
}

TEST_F(CustomersKey, WrongCredentialsAreOurs) {
  const auto provider = world_->NewProviderWith({{"AWS_SHARED_CREDENTIALS_FILE", ""},
                                                 {"AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"},
                                                 {"AWS_SECRET_ACCESS_KEY", "wrong"}});
  const auto kms = provider->Open({KeyType::kAwsKms, world_->key, ""});
  EXPECT_EQ(CauseOf((*kms)->Unwrap(crypto::AsBytes(wrapped_), context_, kBudget).status()),
            Cause::kKmsBadCredentials);
}

TEST_F(CustomersKey, RoleNeedsTheRightExternalId) {
  LocalCloudWorld role(/*as_role=*/true);
  const auto provider =
      NewProvider({{{"AWS_SHARED_CREDENTIALS_FILE", role.cloud.File("platform/aws-credentials")},
                    {"HTTPS_PROXY", "http://127.0.0.1:" + std::to_string(role.cloud.cloud().port())},
                    {"AWS_CA_BUNDLE", role.cloud.File("ca.pem")}},
                   "",
                   "another-organization",
                   SystemPosix(),
                   SystemClock(),
                   crypto::SystemRandom(),
                   SystemSleeper()});
  const auto kms = (*provider)->Open({KeyType::kAwsKms, role.key, role.principal()});
  const Status status = (*kms)->Describe(kBudget).status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("sts:AssumeRole"));
}

// The same on Azure.
class CustomersVault : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(crypto::InitSecretMemory().ok());
    world_ = std::make_unique<LocalAzureWorld>();
    wrapped_ = *BytesOf(world_->Key().Wrap(crypto::AsBytes(secret_), context_, kBudget));
  }
  Status Unwrap(absl::Duration budget = kBudget) {
    return world_->Key().Unwrap(crypto::AsBytes(wrapped_), context_, budget).status();
  }
  Status Check(const std::string& region = "eastus") {
    return world_->Key().Check(region, context_, kBudget).ToStatus();
  }
  void Customer(const std::string& method, const std::string& path, const localcloud::Json& body = nullptr) {
    LocalAzureWorld::Must(world_->customer.Vault(method, path, body));
  }

  const Context context_ = {{"keyhold:cluster", "c1"}};
  const std::string secret_ = std::string(32, 's');
  std::unique_ptr<LocalAzureWorld> world_;
  std::string wrapped_;
};

TEST_F(CustomersVault, DisabledAndEnabledAgain) {
  Customer("PATCH", "/keys/cmek", {{"attributes", {{"enabled", false}}}});
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsDisabled);
  EXPECT_EQ(CauseOf(Check()), Cause::kKmsDisabled);
  Customer("PATCH", "/keys/cmek", {{"attributes", {{"enabled", true}}}});
  EXPECT_TRUE(Unwrap().ok());
}

TEST_F(CustomersVault, DeletedRecoveredAndPurged) {
  Customer("DELETE", "/keys/cmek");
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsPendingDeletion);
  EXPECT_EQ(CauseOf(Check()), Cause::kKmsPendingDeletion);
  Customer("POST", "/deletedkeys/cmek/recover");
  EXPECT_TRUE(Unwrap().ok());
  Customer("DELETE", "/keys/cmek");
  Customer("DELETE", "/deletedkeys/cmek");
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsKeyNotFound);
}

TEST_F(CustomersVault, EachMissingGrantIsNamedAlone) {
  const std::vector<std::string> all = {"get", "wrapKey", "unwrapKey"};
  for (const std::string& missing : all) {
    std::vector<std::string> granted = all;
    std::erase(granted, missing);
    LocalAzureWorld::Must(world_->customer.Grant(granted));
    const Status status = Check();
    EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
    EXPECT_THAT(std::string(status.message()), HasSubstr("Azure refused " + missing + " on "));
    EXPECT_THAT(
        std::string(status.message()),
        HasSubstr("az keyvault set-policy --name " + world_->customer.customer()["vault"].get<std::string>() +
                  " --object-id " + world_->customer.principal()["principal_id"].get<std::string>()));
  }
}

TEST_F(CustomersVault, AccessTakenAwayAndGivenBack) {
  LocalAzureWorld::Must(world_->customer.Grant(localcloud::Json::array()));
  EXPECT_EQ(CauseOf(Unwrap()), Cause::kKmsDenied);
  LocalAzureWorld::Must(world_->customer.Grant({"get", "wrapKey", "unwrapKey"}));
  EXPECT_TRUE(Unwrap().ok());
}

TEST_F(CustomersVault, OldWrapsOpenAfterRotation) {
  Customer("POST", "/keys/cmek/rotate");
  EXPECT_TRUE(Unwrap().ok());
  const Wrapped newer = *world_->Key().Wrap(crypto::AsBytes(secret_), context_, kBudget);
  EXPECT_EQ(azure::DecodeRecord(crypto::AsBytes(newer.bytes))->version, newer.version);
  EXPECT_NE(azure::DecodeRecord(crypto::AsBytes(wrapped_))->version, newer.version);
  EXPECT_TRUE(Check().ok());
}

TEST_F(CustomersVault, OfAnotherRegionIsRefused) {
  EXPECT_EQ(CauseOf(Check("westeurope")), Cause::kKmsWrongKey);
}

TEST_F(CustomersVault, OutagesAreToldApartFromRefusals) {
  world_->cloud.cloud().faults().ClearAll();
  ASSERT_TRUE(world_->cloud.cloud().faults().Add({localcloud::FaultKind::kThrottled}).ok());
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsThrottled);
  world_->cloud.cloud().faults().ClearAll();
  ASSERT_TRUE(world_->cloud.cloud().faults().Add({localcloud::FaultKind::kUnavailable}).ok());
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsUnreachable);
  world_->cloud.cloud().faults().ClearAll();
  EXPECT_TRUE(Unwrap().ok());
  world_->cloud.Stop();
  EXPECT_EQ(CauseOf(Unwrap(absl::Milliseconds(300))), Cause::kKmsUnreachable);
}

TEST_F(CustomersVault, WrongCredentialsAreOurs) {
  const auto provider =
      world_->NewProviderWith({{"AZURE_CLIENT_CERTIFICATE_PATH", ""}, {"AZURE_CLIENT_SECRET", "wrong"}});
  const auto kms = provider->Open({KeyType::kAzureKeyVault, world_->customer.KeyUri("cmek"), ""});
  EXPECT_EQ(CauseOf((*kms)->Unwrap(crypto::AsBytes(wrapped_), context_, kBudget).status()),
            Cause::kKmsBadCredentials);
}

}  // namespace
}  // namespace keyhold::kms
