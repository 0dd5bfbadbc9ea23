#include "localcloud/log_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "localcloud/access_log.h"
#include "tests/base/temp_dir.h"

namespace keyhold::localcloud {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kArn[] = "arn:aws:kms:us-east-1:111122223333:key/0d990263-018e-4e65-a703-eff731de951e";
constexpr char kGcpKey[] = "projects/p/locations/us-east1/keyRings/r/cryptoKeys/k";

AccessEntry Aws(const std::string& outcome) {
  AccessEntry entry;
  entry.time = absl::UnixEpoch() + absl::Hours(24);
  entry.service = "kms.us-east-1";
  entry.principal = "arn:aws:iam::999999999999:user/keyhold";
  entry.action = "kms:Decrypt";
  entry.key = kArn;
  entry.outcome = outcome;
  entry.message = outcome == "OK" ? "" : "the key is disabled";
  entry.request_id = "r1";
  entry.source = "127.0.0.1";
  entry.encryption_context = {{"keyhold:region", "us-east-1"}};
  return entry;
}

AccessEntry Of(const std::string& service, const std::string& action, const std::string& key) {
  AccessEntry entry = Aws("OK");
  entry.service = service;
  entry.action = action;
  entry.key = key;
  entry.principal = "serviceAccount:keyhold@platform.iam.gserviceaccount.com";
  return entry;
}

class LogView : public ::testing::Test {
 protected:
  LogView() : log_(AccessLog::Open(path_).value()) {}

  std::vector<std::string> Show(const LogQuery& query) {
    std::vector<std::string> lines;
    EXPECT_TRUE(ShowAccessLog(path_, query, [&](const std::string& line) {
                  lines.push_back(line);
                  return true;
                }).ok());
    return lines;
  }

  std::vector<nlohmann::json> Events() {
    LogQuery query;
    query.shape = LogShape::kCloud;
    std::vector<nlohmann::json> events;
    for (const std::string& line : Show(query)) events.push_back(nlohmann::json::parse(line));
    return events;
  }

  keyhold::testing::TempDir dir_;
  const std::string path_ = dir_.File("access.log");
  std::unique_ptr<AccessLog> log_;
};

TEST_F(LogView, ATableHasAHeadingAndARowForEach) {
  ASSERT_TRUE(log_->Append(Aws("OK")).ok());
  EXPECT_THAT(Show({}),
              ElementsAre(HasSubstr("OUTCOME"),
                          "1970-01-02T00:00:00Z AWS   keyhold                  kms:Decrypt                  "
                          "0d990263-018e-4e65-a703-eff731de951e OK"));
}

TEST_F(LogView, JsonIsTheLineAsItStands) {
  ASSERT_TRUE(log_->Append(Aws("DisabledException")).ok());
  LogQuery query;
  query.shape = LogShape::kJson;
  const auto lines = Show(query);
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(nlohmann::json::parse(lines[0])["outcome"], "DisabledException");
}

TEST_F(LogView, FiltersByCloudKeyCallerAndOutcome) {
  ASSERT_TRUE(log_->Append(Aws("OK")).ok());
  ASSERT_TRUE(log_->Append(Aws("DisabledException")).ok());
  ASSERT_TRUE(log_->Append(Of("cloudkms.googleapis.com", "Decrypt", kGcpKey)).ok());
  LogQuery query;
  query.shape = LogShape::kJson;
  query.cloud = "GCP";
  EXPECT_THAT(Show(query), SizeIs(1));
  query.cloud = "AZURE";
  EXPECT_THAT(Show(query), SizeIs(0));
  query.cloud.clear();
  query.key = "0d990263";
  EXPECT_THAT(Show(query), SizeIs(2));
  query.failed = true;
  EXPECT_THAT(Show(query), SizeIs(1));
  query.caller = "nobody";
  EXPECT_THAT(Show(query), SizeIs(0));
}

TEST_F(LogView, AwsAsCloudTrail) {
  ASSERT_TRUE(log_->Append(Aws("OK")).ok());
  ASSERT_TRUE(log_->Append(Aws("DisabledException")).ok());
  const auto events = Events();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0]["eventSource"], "kms.amazonaws.com");
  EXPECT_EQ(events[0]["eventName"], "Decrypt");
  EXPECT_EQ(events[0]["awsRegion"], "us-east-1");
  EXPECT_EQ(events[0]["userIdentity"]["userName"], "keyhold");
  EXPECT_EQ(events[0]["userIdentity"]["accountId"], "999999999999");
  EXPECT_EQ(events[0]["requestParameters"]["encryptionContext"]["keyhold:region"], "us-east-1");
  EXPECT_EQ(events[0]["resources"][0]["ARN"], kArn);
  EXPECT_EQ(events[0]["recipientAccountId"], "111122223333");
  EXPECT_FALSE(events[0].contains("errorCode"));
  EXPECT_EQ(events[1]["errorCode"], "DisabledException");
}

TEST_F(LogView, GcpAsCloudAuditLogs) {
  ASSERT_TRUE(log_->Append(Of("cloudkms.googleapis.com", "Decrypt", kGcpKey)).ok());
  const auto events = Events();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0]["protoPayload"]["serviceName"], "cloudkms.googleapis.com");
  EXPECT_EQ(events[0]["protoPayload"]["authenticationInfo"]["principalEmail"],
            "keyhold@platform.iam.gserviceaccount.com");
  EXPECT_EQ(events[0]["resource"]["labels"]["key_ring_id"], "r");
  EXPECT_EQ(events[0]["resource"]["labels"]["crypto_key_id"], "k");
}

TEST_F(LogView, AzureAsKeyVaultDiagnostics) {
  AccessEntry refused = Of("demo.vault.azure.net", "KeyUnwrap", "https://demo.vault.azure.net/keys/k/1");
  refused.outcome = "KeyDisabled";
  ASSERT_TRUE(log_->Append(refused).ok());
  const auto events = Events();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0]["category"], "AuditEvent");
  EXPECT_EQ(events[0]["operationName"], "KeyUnwrap");
  EXPECT_EQ(events[0]["resultSignature"], "KeyDisabled");
}

TEST_F(LogView, LinesThatAreNoEntriesArePassedOver) {
  std::ofstream(path_, std::ios::app) << "{\"time\":\"2027-01-0\n[]\n\n\xff\n";
  ASSERT_TRUE(log_->Append(Aws("OK")).ok());
  EXPECT_THAT(Show({}), SizeIs(2));
}

TEST_F(LogView, FollowsWhatIsAppendedAndALineInPieces) {
  LogQuery query;
  query.follow = true;
  query.shape = LogShape::kJson;
  std::vector<std::string> lines;
  std::jthread writer;
  ASSERT_TRUE(log_->Append(Aws("OK")).ok());
  const Status status = ShowAccessLog(path_, query, [&](const std::string& line) {
    lines.push_back(line);
    if (lines.size() == 1) {
      writer = std::jthread([&] {
        std::ofstream out(path_, std::ios::app);
        out << R"({"time":"2027-01-01T00:00:00Z",)" << std::flush;
        out << R"("outcome":"SECOND"})" << std::endl;
      });
    }
    return lines.size() < 2;
  });
  EXPECT_TRUE(status.ok());
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_THAT(lines[1], HasSubstr("SECOND"));
}

TEST(LogViewAlone, NoLogIsNotFound) {
  EXPECT_EQ(CauseOf(ShowAccessLog("/nowhere/access.log", {}, [](const std::string&) { return true; })),
            Cause::kNotFound);
}

}  // namespace
}  // namespace keyhold::localcloud
