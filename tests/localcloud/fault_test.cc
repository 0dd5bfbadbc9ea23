// Faults that were ordered: which requests they hit, what the client sees, and who may order them.
#include "localcloud/fault_control.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "absl/strings/escaping.h"
#include "localcloud/fault_gate.h"
#include "localcloud/json.h"
#include "tests/localcloud/azure_client.h"
#include "tests/localcloud/gcp_client.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {
namespace {

using ::testing::HasSubstr;

AccessEntry Entry(const std::string& service, const std::string& action, const std::string& key = "") {
  AccessEntry entry;
  entry.service = service;
  entry.action = action;
  entry.key = key;
  return entry;
}

FaultOrder Order(FaultKind kind) {
  FaultOrder order;
  order.kind = kind;
  if (kind == FaultKind::kLatency) order.delay = absl::Milliseconds(1);
  return order;
}

class Gate : public ::testing::Test {
 protected:
  bool Hits(AccessEntry entry = Entry("kms.us-east-1", "kms:Decrypt", "key/1"), bool served = true) {
    return gate_.Decide(entry, served).kind.has_value();
  }
  FakeClock clock_;
  FaultGate gate_{clock_};
};

TEST_F(Gate, EndsAfterSoManyHits) {
  FaultOrder order = Order(FaultKind::kDenied);
  order.times = 2;
  ASSERT_TRUE(gate_.Add(order).ok());
  EXPECT_TRUE(Hits());
  EXPECT_TRUE(Hits());
  EXPECT_FALSE(Hits());
  EXPECT_TRUE(gate_.List().empty());
}

TEST_F(Gate, HitsEachSoManyth) {
  FaultOrder order = Order(FaultKind::kDenied);
  order.every = 3;
  ASSERT_TRUE(gate_.Add(order).ok());
  std::string seen;
  for (int i = 0; i < 7; ++i) seen += Hits() ? 'x' : '.';
  EXPECT_EQ(seen, "..x..x.");
  EXPECT_EQ(gate_.List()[0].matched, 7U);
  EXPECT_EQ(gate_.List()[0].hits, 2U);
}

TEST_F(Gate, EndsByTheClock) {
  FaultOrder order = Order(FaultKind::kDenied);
  order.lasts = absl::Seconds(30);
  ASSERT_TRUE(gate_.Add(order).ok());
  clock_.Advance(absl::Seconds(29));
  EXPECT_TRUE(Hits());
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(Hits());
}

TEST_F(Gate, IsAboutWhatItNames) {
  FaultOrder order = Order(FaultKind::kDenied);
  order.cloud = "GCP";
  order.key = "ring/cryptoKeys/a";
  order.action = "Decrypt";
  const std::string key = "projects/p/locations/l/keyRings/ring/cryptoKeys/a/cryptoKeyVersions/1";
  EXPECT_TRUE(IsAbout(order, Entry("cloudkms.googleapis.com", "Decrypt", key), true));
  EXPECT_FALSE(IsAbout(order, Entry("cloudkms.googleapis.com", "Encrypt", key), true));
  EXPECT_FALSE(IsAbout(order, Entry("kms.us-east-1", "kms:Decrypt", key), true));
  EXPECT_FALSE(IsAbout(order, Entry("cloudkms.googleapis.com", "Decrypt", "other"), true));
  order = Order(FaultKind::kDenied);
  order.caller = "keyhold";
  AccessEntry entry = Entry("kms.us-east-1", "kms:Decrypt");
  EXPECT_FALSE(IsAbout(order, entry, true));
  entry.principal = "arn:aws:iam::1:user/keyhold";
  EXPECT_TRUE(IsAbout(order, entry, true));
}

TEST_F(Gate, LeavesIdentityAloneUnlessItIsAskedTo) {
  FaultOrder order = Order(FaultKind::kDenied);
  for (const char* service : {"sts.us-east-1", "oauth2.googleapis.com", "login.microsoftonline.com"}) {
    order.scope = FaultScope::kKeys;
    EXPECT_FALSE(IsAbout(order, Entry(service, "Token"), true)) << service;
    order.scope = FaultScope::kIdentity;
    EXPECT_TRUE(IsAbout(order, Entry(service, "Token"), true)) << service;
    order.scope = FaultScope::kAll;
    EXPECT_TRUE(IsAbout(order, Entry(service, "Token"), true)) << service;
  }
  order.scope = FaultScope::kIdentity;
  EXPECT_FALSE(IsAbout(order, Entry("v.vault.azure.net", "KeyUnwrap"), true));
}

TEST_F(Gate, LiesOnlyWhereThereIsSomethingToLieAbout) {
  const FaultOrder secret = Order(FaultKind::kWrongSecret), key = Order(FaultKind::kWrongKey);
  EXPECT_TRUE(IsAbout(secret, Entry("v.vault.azure.net", "KeyUnwrap"), true));
  EXPECT_FALSE(IsAbout(secret, Entry("v.vault.azure.net", "KeyUnwrap"), false)) << "it was refused";
  EXPECT_FALSE(IsAbout(secret, Entry("kms.us-east-1", "kms:DescribeKey"), true));
  EXPECT_FALSE(IsAbout(key, Entry("cloudkms.googleapis.com", "Decrypt"), true)) << "it names no key";
  EXPECT_TRUE(IsAbout(key, Entry("cloudkms.googleapis.com", "Encrypt"), true));
}

TEST_F(Gate, TheOldestDecidesAndLatenciesAddUp) {
  FaultOrder slow = Order(FaultKind::kLatency);
  slow.delay = absl::Milliseconds(300);
  ASSERT_TRUE(gate_.Add(slow).ok());
  ASSERT_TRUE(gate_.Add(Order(FaultKind::kThrottled)).ok());
  ASSERT_TRUE(gate_.Add(Order(FaultKind::kDenied)).ok());
  ASSERT_TRUE(gate_.Add(slow).ok());
  AccessEntry entry = Entry("kms.us-east-1", "kms:Decrypt");
  const FaultHit hit = gate_.Decide(entry, true);
  EXPECT_EQ(hit.kind, FaultKind::kThrottled);
  EXPECT_EQ(hit.delay, absl::Milliseconds(600));
  EXPECT_EQ(entry.fault, "latency (1), throttled (2), latency (4)");
  EXPECT_EQ(gate_.List()[2].matched, 0U);
}

TEST_F(Gate, IsClearedOneByOneOrAsAWhole) {
  const uint64_t first = *gate_.Add(Order(FaultKind::kDenied));
  ASSERT_TRUE(gate_.Add(Order(FaultKind::kHang)).ok());
  EXPECT_TRUE(gate_.Clear(first).ok());
  EXPECT_EQ(CauseOf(gate_.Clear(first)), Cause::kNotFound);
  EXPECT_EQ(gate_.List().size(), 1U);
  gate_.ClearAll();
  EXPECT_TRUE(gate_.List().empty());
}

TEST_F(Gate, RefusesOrdersOfWhichNothingComes) {
  std::vector<FaultOrder> orders(7, Order(FaultKind::kDenied));
  orders[0].cloud = "IBM";
  orders[1].kind = FaultKind::kLatency;
  orders[2].delay = absl::Seconds(1);
  orders[3].retry_after = absl::Seconds(1);
  orders[4].every = 0;
  orders[5].lasts = absl::ZeroDuration();
  orders[6] = Order(FaultKind::kThrottled);
  orders[6].retry_after = absl::Seconds(-1);
  for (const FaultOrder& order : orders)
    EXPECT_EQ(CauseOf(gate_.Add(order).status()), Cause::kInvalidArgument) << Describe(order);
  EXPECT_TRUE(gate_.List().empty());
}

TEST(FaultJson, SurvivesTheWay) {
  for (const FaultKind kind : AllFaults()) {
    FaultOrder order = Order(kind);
    order.cloud = "AZURE";
    order.scope = FaultScope::kAll;
    order.key = "k", order.caller = "c", order.action = "a";
    order.every = 2, order.times = 3;
    order.lasts = absl::Milliseconds(1500);
    const auto back = OrderFromJson(ToJson(order));
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(Describe(*back), Describe(order));
    EXPECT_EQ(*FaultFromName(FaultName(kind)), kind);
  }
}

TEST(FaultJson, RefusesWhatItDoesNotKnow) {
  const Json good = ToJson(Order(FaultKind::kDenied));
  for (const char* change :
       {R"({"kind":"earthquake"})", R"({"kind":7})", R"({"often":true})", R"({"every":-1})",
        R"({"every":"x"})", R"({"scope":"moon"})", R"({"for":"soon"})", R"({"cloud":["AWS"]})"}) {
    Json json = good;
    json.update(Json::parse(change));
    EXPECT_EQ(CauseOf(OrderFromJson(json).status()), Cause::kInvalidArgument) << change;
  }
  EXPECT_EQ(CauseOf(OrderFromJson(Json::array()).status()), Cause::kInvalidArgument);
}

// What a client of each cloud sees.
class Seen : public ::testing::Test {
 protected:
  void Fault(FaultKind kind, absl::Duration retry_after = absl::InfiniteDuration()) {
    cloud.cloud().faults().ClearAll();
    FaultOrder order = Order(kind);
    order.retry_after = retry_after;
    ASSERT_TRUE(cloud.cloud().faults().Add(order).ok());
  }
  Answer Aws(const std::string& operation, Json in = Json::object()) {
    in["KeyId"] = key;
    return cloud.Customer().Kms(operation, in);
  }
  gcp::GcpAnswer Google() {
    return gcp::GcpClient(cloud, ReadFile(cloud.File("customer/gcp-access-token")))
        .Get("cloudkms.googleapis.com",
             "projects/" +
                 Json::parse(ReadFile(cloud.File("customer.json")))["gcp"]["project"].get<std::string>() +
                 "/locations/us-east1/keyRings");
  }
  TestCloud cloud;
  const std::string key = cloud.NewKey();
  const AzureClient azure{cloud};
};

TEST_F(Seen, ThrottledInEachCloudsOwnWords) {
  Fault(FaultKind::kThrottled, absl::Milliseconds(1500));
  EXPECT_EQ(Aws("DescribeKey").type, "ThrottlingException");
  EXPECT_EQ(Aws("DescribeKey").status, 400);
  const auto google = Google();
  EXPECT_EQ(google.status, 429);
  EXPECT_EQ(google.code, "RESOURCE_EXHAUSTED");
  EXPECT_EQ(google.body["error"]["details"][0]["reason"], "RATE_LIMIT_EXCEEDED");
  const auto vault = azure.Vault("GET", "/keys");
  EXPECT_EQ(vault.status, 429);
  EXPECT_EQ(vault.code(), "Throttled");
  EXPECT_EQ(vault.headers.at("retry-after"), "2") << "whole seconds";
}

TEST_F(Seen, UnavailableInEachCloudsOwnWords) {
  Fault(FaultKind::kUnavailable);
  EXPECT_EQ(Aws("DescribeKey").status, 503);
  EXPECT_EQ(Aws("DescribeKey").type, "DependencyTimeoutException");
  EXPECT_EQ(Google().code, "UNAVAILABLE");
  const auto vault = azure.Vault("GET", "/keys");
  EXPECT_EQ(vault.status, 503);
  EXPECT_EQ(vault.headers.count("retry-after"), 0U);
}

TEST_F(Seen, DeniedInEachCloudsOwnWords) {
  Fault(FaultKind::kDenied);
  const Answer aws = Aws("Encrypt", {{"Plaintext", "eA=="}});
  EXPECT_EQ(aws.type, "AccessDeniedException");
  EXPECT_THAT(aws.message, HasSubstr("is not authorized to perform: kms:Encrypt on resource: " + key));
  EXPECT_EQ(Google().code, "PERMISSION_DENIED");
  const auto vault = azure.Vault("GET", "/keys");
  EXPECT_EQ(vault.status, 403);
  EXPECT_EQ(vault.inner(), "AccessDenied");
}

TEST_F(Seen, TokensOfEachCloudOnlyWhenIdentityIsMeant) {
  FaultOrder order = Order(FaultKind::kDenied);
  order.scope = FaultScope::kIdentity;
  ASSERT_TRUE(cloud.cloud().faults().Add(order).ok());
  EXPECT_EQ(cloud.Customer().Sts("GetCallerIdentity", {}).type, "AccessDenied");
  EXPECT_TRUE(Aws("DescribeKey").ok());
  const Json file = Json::parse(ReadFile(cloud.File("platform/gcp-key.json")));
  EXPECT_EQ(gcp::GcpClient::Token(cloud, file, [](Json&, Json&) {}).status, 403);
  EXPECT_THAT(azure.Login({{"grant_type", "client_credentials"}}).text, HasSubstr("AADSTS7000112"));
}

TEST_F(Seen, NothingOfARefusedRequestIsCarriedOut) {
  for (const FaultKind kind : {FaultKind::kUnreachable, FaultKind::kThrottled, FaultKind::kDenied}) {
    Fault(kind);
    EXPECT_FALSE(Aws("DisableKey").ok());
  }
  cloud.cloud().faults().ClearAll();
  EXPECT_EQ(Aws("DescribeKey").body["KeyMetadata"]["KeyState"], "Enabled");
}

TEST_F(Seen, NoAnswerOrHalfOfOneIsNoAnswer) {
  for (const FaultKind kind : {FaultKind::kUnreachable, FaultKind::kTruncated}) {
    Fault(kind);
    EXPECT_EQ(Aws("DescribeKey").status, 0) << FaultName(kind);
  }
  cloud.cloud().faults().ClearAll();
  EXPECT_TRUE(Aws("DescribeKey").ok());
}

TEST_F(Seen, AHangLastsUntilTheCloudStops) {
  for (const FaultKind kind : {FaultKind::kHang, FaultKind::kStall}) {
    Fault(kind);
    std::thread waiting([&, client = cloud.Customer()] {
      EXPECT_EQ(client.Kms("DescribeKey", {{"KeyId", key}}).status, 0);
    });
    while (cloud.cloud().faults().List()[0].hits == 0) std::this_thread::yield();
    cloud.Restart();
    waiting.join();
  }
}

TEST_F(Seen, ALatencyIsWaitedFor) {
  FaultOrder order = Order(FaultKind::kLatency);
  order.delay = absl::Milliseconds(300);
  ASSERT_TRUE(cloud.cloud().faults().Add(order).ok());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(Aws("DescribeKey").ok());
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(300));
}

TEST_F(Seen, LiesAreWellFormed) {
  const Answer sealed = Aws("Encrypt", {{"Plaintext", "c2VjcmV0"}});
  const Json blob = {{"CiphertextBlob", sealed.body["CiphertextBlob"]}};
  Fault(FaultKind::kWrongSecret);
  const Answer opened = Aws("Decrypt", blob);
  ASSERT_TRUE(opened.ok());
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape(opened.body["Plaintext"].get<std::string>(), &bytes));
  EXPECT_EQ(bytes.size(), 6U);
  EXPECT_NE(bytes, "secret");
  EXPECT_EQ(opened.body["KeyId"], key);
  Fault(FaultKind::kWrongKey);
  const Answer other = Aws("Decrypt", blob);
  EXPECT_EQ(other.body["Plaintext"], "c2VjcmV0");
  EXPECT_NE(other.body["KeyId"], key);
  EXPECT_EQ(other.body["KeyId"].get<std::string>().size(), key.size());
}

TEST_F(Seen, GarbageAndHtmlComeWithSuccess) {
  Fault(FaultKind::kGarbage);
  EXPECT_EQ(Aws("DescribeKey").status, 200);
  EXPECT_TRUE(Aws("DescribeKey").body.is_discarded());
  Fault(FaultKind::kWrongType);
  EXPECT_THAT(Aws("DescribeKey").text, HasSubstr("<!DOCTYPE html>"));
  Fault(FaultKind::kOversized);
  EXPECT_EQ(Aws("DescribeKey").text.size(), 4U << 20);
}

TEST_F(Seen, TheLogSaysWhichFaultHit) {
  Fault(FaultKind::kUnreachable);
  EXPECT_EQ(Aws("DescribeKey").status, 0);
  std::istringstream log(ReadFile(cloud.File("access.log")));
  std::string line;
  for (std::string next; std::getline(log, next);) line = next;
  const auto entry = ParseEntry(line);
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->fault, "unreachable (1)");
  EXPECT_EQ(entry->outcome, "NoAnswer");
  EXPECT_EQ(entry->key, key);
}

// Ordering them from another process.
class Control : public ::testing::Test {
 protected:
  TestCloud cloud;
};

TEST_F(Control, OrdersListsAndClears) {
  FaultOrder order = Order(FaultKind::kThrottled);
  order.retry_after = absl::Seconds(3);
  const auto id = AddFault(cloud.dir(), order);
  ASSERT_TRUE(id.ok()) << id.status();
  const auto faults = ListFaults(cloud.dir());
  ASSERT_TRUE(faults.ok()) << faults.status();
  ASSERT_EQ(faults->size(), 1U);
  EXPECT_EQ((*faults)[0].id, *id);
  EXPECT_EQ(Describe((*faults)[0].order), "throttled --retry-after 3s");
  EXPECT_EQ(cloud.Customer().Kms("ListKeys", Json::object()).type, "ThrottlingException");
  EXPECT_EQ(CauseOf(ClearFaults(cloud.dir(), *id + 1)), Cause::kNotFound);
  EXPECT_TRUE(ClearFaults(cloud.dir(), *id).ok());
  EXPECT_TRUE(cloud.Customer().Kms("ListKeys", Json::object()).ok());
  EXPECT_TRUE(ClearFaults(cloud.dir(), std::nullopt).ok());
}

TEST_F(Control, IsItsOwnersAlone) {
  struct stat socket {};
  ASSERT_EQ(stat(cloud.File("control.sock").c_str(), &socket), 0);
  EXPECT_EQ(socket.st_mode & 07777, 0600U);
  struct stat dir {};
  ASSERT_EQ(stat(cloud.dir().c_str(), &dir), 0);
  EXPECT_EQ(dir.st_mode & 07777, 0700U);
}

TEST_F(Control, WithoutALocalCloudSaysSo) {
  cloud.Stop();
  const Status status = ListFaults(cloud.dir()).status();
  EXPECT_EQ(CauseOf(status), Cause::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no local cloud runs in " + cloud.dir()));
  EXPECT_EQ(CauseOf(AddFault("/nowhere", Order(FaultKind::kHang)).status()), Cause::kUnavailable);
}

TEST_F(Control, FaultsEndWithTheProcess) {
  ASSERT_TRUE(AddFault(cloud.dir(), Order(FaultKind::kDenied)).ok());
  cloud.Restart();
  EXPECT_TRUE(ListFaults(cloud.dir())->empty());
}

}  // namespace
}  // namespace keyhold::localcloud
