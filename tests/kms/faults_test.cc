// What every KMS client makes of a network and a service that misbehave, run against the three clouds of the
// local cloud: over the real proxy and TLS, by faults that were ordered.
//
// One test per cloud, because a local cloud takes its time to start; its cases are rows, each of which tells
// its outcome by RecordProperty (matrix.py prints them all).
#include <algorithm>
#include <chrono>

#include "tests/kms/tls_server.h"
#include "tests/kms/worlds.h"

namespace keyhold::kms {
namespace {

using localcloud::FaultKind;
using localcloud::FaultOrder;
using localcloud::FaultScope;

constexpr absl::Duration kShort = absl::Milliseconds(600);
constexpr absl::Duration kLong = absl::Seconds(20);

struct CloudParam {
  const char* name;
  std::function<std::unique_ptr<CloudWorld>()> make;
  bool names_key_when_unwrapping = true;
  bool has_token_service = true;
};

void PrintTo(const CloudParam& cloud, std::ostream* out) { *out << cloud.name; }

class Faults : public ::testing::TestWithParam<CloudParam> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(crypto::InitSecretMemory().ok());
    world_ = GetParam().make();
    wrapped_ = *BytesOf(Key().Wrap(crypto::AsBytes(secret_), context_, kBudget));
  }

  // One row. `held` says whether the client did what it should.
  void Row(const char* name, bool held) {
    EXPECT_TRUE(held) << GetParam().name << ": " << name;
    RecordProperty(name, held ? "pass" : "FAIL");
    world_->Cloud().cloud().faults().ClearAll();
  }

  Kms& Key() { return world_->Key(); }
  void Order(const FaultOrder& order) {
    world_->Cloud().cloud().faults().ClearAll();
    EXPECT_TRUE(world_->Cloud().cloud().faults().Add(order).ok());
  }
  // OK: the secret came back, and within the budget (and what a busy machine adds).
  Status UnwrapBy(Kms& kms, absl::Duration budget) {
    const auto start = std::chrono::steady_clock::now();
    const auto opened = kms.Unwrap(crypto::AsBytes(wrapped_), context_, budget);
    took_ = absl::FromChrono(std::chrono::steady_clock::now() - start);
    EXPECT_LT(took_, budget + absl::Seconds(3));
    if (opened.ok() && opened->ExposeText() != secret_) return Error(Cause::kInternal, "another secret");
    return opened.status();
  }
  Status Unwrap(absl::Duration budget = kShort) { return UnwrapBy(Key(), budget); }
  Status Wrap() { return Key().Wrap(crypto::AsBytes(secret_), context_, kShort).status(); }
  bool Gives(FaultKind kind, Cause cause) {
    Order({kind});
    return CauseOf(Unwrap()) == cause && CauseOf(Wrap()) == cause;
  }
  // The same key, by a client with other variables (and no token yet).
  Status UnwrapWith(const Environment& changed, absl::Duration budget = kShort) {
    const auto provider = world_->NewProviderWith(changed);
    const auto kms = provider->Open(Key().Spec());
    return UnwrapBy(**kms, budget);
  }
  // A client with no token, its token service at fault.
  bool TokenGives(FaultKind kind, Cause cause) {
    FaultOrder order{kind};
    order.scope = FaultScope::kIdentity;
    Order(order);
    return CauseOf(UnwrapWith({})) == cause;
  }
  bool SurvivesOne(FaultKind kind, absl::Duration retry_after = absl::InfiniteDuration()) {
    FaultOrder order{kind};
    order.times = 1;
    order.retry_after = retry_after;
    Order(order);
    return Unwrap(kLong).ok() && (retry_after == absl::InfiniteDuration() || took_ >= retry_after);
  }

  void Answers();
  void Lies();
  void Retries();
  void Connections();
  void Tokens();
  void Clocks();

  const Context context_ = {{"keyhold:cluster", "c1"}};
  const std::string secret_ = std::string(32, 's');
  std::unique_ptr<CloudWorld> world_;
  std::string wrapped_;
  absl::Duration took_;
};

void Faults::Answers() {
  Row("throttled", Gives(FaultKind::kThrottled, Cause::kKmsThrottled));
  Row("503", Gives(FaultKind::kUnavailable, Cause::kKmsUnreachable));
  Row("denied", Gives(FaultKind::kDenied, Cause::kKmsDenied));
  Row("closed without an answer", Gives(FaultKind::kUnreachable, Cause::kKmsUnreachable));
  Row("hang", Gives(FaultKind::kHang, Cause::kKmsUnreachable));
  Row("hang in the middle of the body", Gives(FaultKind::kStall, Cause::kKmsUnreachable));
  Row("truncated answer", Gives(FaultKind::kTruncated, Cause::kKmsUnreachable));
}

void Faults::Lies() {
  Row("over-long answer", Gives(FaultKind::kOversized, Cause::kKmsUnreachable));
  Row("garbage", Gives(FaultKind::kGarbage, Cause::kKmsCorrupt));
  Row("wrong content type", Gives(FaultKind::kWrongType, Cause::kKmsCorrupt));
  Order({FaultKind::kWrongKey});
  Row("answer for another key",
      CauseOf(Wrap()) == Cause::kKmsCorrupt &&
          (!GetParam().names_key_when_unwrapping || CauseOf(Unwrap()) == Cause::kKmsCorrupt));
}

void Faults::Retries() {
  FaultOrder slow{FaultKind::kLatency};
  slow.delay = absl::Milliseconds(300);
  Order(slow);
  Row("slow answer", Unwrap(kLong).ok() && took_ >= slow.delay);
  const auto kinds = {FaultKind::kUnreachable, FaultKind::kThrottled, FaultKind::kUnavailable,
                      FaultKind::kTruncated};
  Row("one fault is retried",
      std::all_of(kinds.begin(), kinds.end(), [&](FaultKind kind) { return SurvivesOne(kind); }));
  Row("Retry-After of 429", SurvivesOne(FaultKind::kThrottled, absl::Seconds(1)));
  Row("Retry-After of 503", SurvivesOne(FaultKind::kUnavailable, absl::Seconds(1)));
  FaultOrder order{FaultKind::kThrottled};
  order.retry_after = absl::Minutes(1);
  Order(order);
  const Cause cause = CauseOf(Unwrap(kLong));
  Row("Retry-After beyond the budget", cause == Cause::kKmsThrottled && took_ < kLong / 2);
}

void Faults::Connections() {
  // No resolver is asked for it: a label has 63 bytes at most.
  const std::string unresolved = "http://" + std::string(64, 'a') + ".invalid:1";
  const auto silent = [&](const Environment& changed) {
    return CauseOf(UnwrapWith(changed)) == Cause::kKmsUnreachable;
  };
  Row("name does not resolve", silent({{"HTTPS_PROXY", unresolved}}));
  Row("connection refused", silent({{"HTTPS_PROXY", "http://127.0.0.1:1"}}));
  const testing::TempDir dir;
  testing::TlsServer other("other.example", dir.File("ca.pem"));
  Row("certificate of another name",
      silent({{"HTTPS_PROXY", other.proxy()}, {"AWS_CA_BUNDLE", dir.File("ca.pem")}}) &&
          other.requests().empty());
  Row("unknown CA", silent({{"AWS_CA_BUNDLE", dir.File("ca.pem")}}));
}

void Faults::Tokens() {
  if (!GetParam().has_token_service) return;
  Row("token service throttled", TokenGives(FaultKind::kThrottled, Cause::kKmsThrottled));
  Row("token service 503", TokenGives(FaultKind::kUnavailable, Cause::kKmsUnreachable));
  Row("token service closes", TokenGives(FaultKind::kUnreachable, Cause::kKmsUnreachable));
  Row("token service hangs in the body", TokenGives(FaultKind::kStall, Cause::kKmsUnreachable));
  Row("token service: garbage", TokenGives(FaultKind::kGarbage, Cause::kKmsCorrupt));
  Row("token service: wrong content type", TokenGives(FaultKind::kWrongType, Cause::kKmsCorrupt));
}

void Faults::Clocks() {
  world_->Cloud().clock().Advance(absl::Hours(3));
  Row("our clock behind", CauseOf(UnwrapWith({})) == Cause::kKmsBadCredentials);
  world_->Cloud().clock().Advance(-absl::Hours(6));
  Row("our clock ahead", CauseOf(UnwrapWith({})) == Cause::kKmsBadCredentials);
  world_->Cloud().clock().Advance(absl::Hours(3));
  Row("back after all of it", Unwrap(kLong).ok());
}

TEST_P(Faults, EachIsWhatItIs) {
  Answers();
  Lies();
  Retries();
  Connections();
  Tokens();
  Clocks();
}

INSTANTIATE_TEST_SUITE_P(
    Clouds, Faults,
    ::testing::Values(CloudParam{"Aws", [] { return std::make_unique<LocalCloudWorld>(); }, true, false},
                      CloudParam{"AwsRole", [] { return std::make_unique<LocalCloudWorld>(true); }},
                      CloudParam{"Gcp", [] { return std::make_unique<GcpLocalCloudWorld>(); }, false},
                      CloudParam{"GcpImpersonated", [] { return std::make_unique<GcpLocalCloudWorld>(true); },
                                 false},
                      CloudParam{"Azure", [] { return std::make_unique<LocalAzureWorld>(); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace keyhold::kms
