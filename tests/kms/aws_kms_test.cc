// AWS KMS over a transport that answers anything: what is sent, what is believed, what becomes of errors.
#include "tests/kms/fixture.h"

namespace keyhold::kms {
namespace {

using testing::Answer;
using testing::AwsError;
using ::testing::ElementsAre;
using testing::FakeAws;
using ::testing::HasSubstr;

std::string Message(const Status& status) { return std::string(status.message()); }

class Aws : public Kmss {
 protected:
  StatusOr<std::string> Wrap(Kms& kms) {
    return BytesOf(kms.Wrap(crypto::AsBytes(secret_), context_, kBudget));
  }
  Status Unwrap(Kms& kms, const std::string& wrapped) {
    return kms.Unwrap(crypto::AsBytes(wrapped), context_, kBudget).status();
  }
  // What Decrypt's error becomes.
  Status Refused(const std::string& type, const std::string& message, int http_status = 400) {
    aws_.On("Decrypt", [=](const auto&) { return AwsError(type, message, http_status); });
    return Unwrap(Open(), "x");
  }
};

TEST_F(Aws, WrapsAndUnwraps) {
  Kms& kms = Open();
  const auto wrapped = Wrap(kms);
  ASSERT_TRUE(wrapped.ok()) << wrapped.status();
  const auto opened = kms.Unwrap(crypto::AsBytes(*wrapped), context_, kBudget);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->ExposeText(), secret_);
}

TEST_F(Aws, SendsWhatKmsAsksFor) {
  ASSERT_TRUE(Wrap(Open()).ok());
  ASSERT_EQ(aws_.seen().size(), 1U);
  const FakeAws::Seen& seen = aws_.seen()[0];
  EXPECT_EQ(seen.host, "kms.us-east-1.amazonaws.com");
  EXPECT_EQ(seen.signed_for, "us-east-1/kms");
  EXPECT_EQ(seen.access_key_id, "AKIAPLATFORM");
  EXPECT_EQ(seen.headers.at("Content-Type"), "application/x-amz-json-1.1");
  EXPECT_EQ(seen.headers.at("X-Amz-Target"), "TrentService.Encrypt");
  const auto body = nlohmann::json::parse(seen.body);
  EXPECT_EQ(body.at("KeyId"), FakeAws::kKey);
  EXPECT_EQ(body.at("EncryptionContext").at("keyhold:store"), "s1");
  EXPECT_EQ(body.at("Plaintext"), "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M=");
  EXPECT_EQ(body.size(), 3U);
}

TEST_F(Aws, OwnPrincipalIsUsedAsItIs) {
  ASSERT_TRUE(Wrap(Open(FakeAws::kCaller)).ok());
  EXPECT_EQ(aws_.Count("AssumeRole"), 0U);
  EXPECT_EQ(aws_.seen().back().access_key_id, "AKIAPLATFORM");
}

TEST_F(Aws, RoleIsAssumedWithTheOrganizationAsExternalId) {
  Kms& kms = Open(FakeAws::kRole);
  ASSERT_TRUE(Wrap(kms).ok());
  const FakeAws::Seen& sts = aws_.seen()[1];
  EXPECT_EQ(sts.action, "AssumeRole");
  EXPECT_EQ(sts.host, "sts.us-east-1.amazonaws.com");
  EXPECT_EQ(sts.signed_for, "us-east-1/sts");
  EXPECT_THAT(sts.body, HasSubstr("RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fcmek"));
  EXPECT_THAT(sts.body, HasSubstr("ExternalId=org-1"));
  EXPECT_EQ(aws_.seen().back().access_key_id, "ASIAROLE");
  EXPECT_EQ(aws_.seen().back().session_token, "tok&en");
  ASSERT_TRUE(Wrap(kms).ok());
  EXPECT_EQ(aws_.Count("AssumeRole"), 1U) << "credentials are kept while they are good";
}

TEST_F(Aws, RoleIsRenewedBeforeItEnds) {
  Kms& kms = Open(FakeAws::kRole);
  ASSERT_TRUE(Wrap(kms).ok());  // from 08:00 to 09:00 by the fake clock
  clock_.Advance(absl::Minutes(51));
  aws_.expiration = "2027-01-15T10:00:00Z";
  ASSERT_TRUE(Wrap(kms).ok());
  EXPECT_EQ(aws_.Count("AssumeRole"), 2U);
}

TEST_F(Aws, RoleServesOnWhileStsIsAwayUntilItEnds) {
  Kms& kms = Open(FakeAws::kRole);
  ASSERT_TRUE(Wrap(kms).ok());
  clock_.Advance(absl::Minutes(55));
  aws_.On("AssumeRole", [](const auto&) { return Error(Cause::kKmsUnreachable, "no route"); });
  EXPECT_TRUE(kms.Wrap(crypto::AsBytes(secret_), context_, absl::Seconds(1)).ok());
  clock_.Advance(absl::Minutes(10));
  EXPECT_EQ(CauseOf(Wrap(kms).status()), Cause::kKmsUnreachable);
}

TEST_F(Aws, RoleThatDoesNotTrustUsIsDenied) {
  aws_.On("AssumeRole", [](const auto&) {
    return Answer(403,
                  "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: x is not "
                  "authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>");
  });
  const Status status = Wrap(Open(FakeAws::kRole)).status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsDenied);
  EXPECT_THAT(Message(status), HasSubstr("sts:AssumeRole on arn:aws:iam::111122223333:role/cmek"));
  EXPECT_THAT(Message(status), HasSubstr("trust policy"));
}

TEST_F(Aws, AnotherUserCannotBeUsed) {
  const Status status = Wrap(Open("arn:aws:iam::111122223333:user/other")).status();
  EXPECT_EQ(CauseOf(status), Cause::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr(FakeAws::kCaller));
}

struct ErrorCase {
  const char* type;
  Cause cause;
};
void PrintTo(const ErrorCase& row, std::ostream* out) { *out << row.type; }

class AwsErrors : public Aws, public ::testing::WithParamInterface<ErrorCase> {};

TEST_P(AwsErrors, BecomeTheirCause) {
  EXPECT_EQ(CauseOf(Refused(GetParam().type, "said so")), GetParam().cause);
  // The namespace in front and the address behind are not part of the type.
  EXPECT_EQ(CauseOf(Refused(std::string("com.amazonaws.kms#") + GetParam().type + ":http://x/", "said so")),
            GetParam().cause);
}

INSTANTIATE_TEST_SUITE_P(
    Table, AwsErrors,
    ::testing::Values(ErrorCase{"AccessDeniedException", Cause::kKmsDenied},
                      ErrorCase{"DisabledException", Cause::kKmsDisabled},
                      ErrorCase{"NotFoundException", Cause::kKmsKeyNotFound},
                      ErrorCase{"IncorrectKeyException", Cause::kKmsCorrupt},
                      ErrorCase{"InvalidCiphertextException", Cause::kKmsCorrupt},
                      ErrorCase{"InvalidKeyUsageException", Cause::kKmsWrongKey},
                      ErrorCase{"ThrottlingException", Cause::kKmsThrottled},
                      ErrorCase{"KMSInternalException", Cause::kKmsUnreachable},
                      ErrorCase{"DependencyTimeoutException", Cause::kKmsUnreachable},
                      ErrorCase{"KeyUnavailableException", Cause::kKmsUnreachable},
                      ErrorCase{"UnrecognizedClientException", Cause::kKmsBadCredentials},
                      ErrorCase{"InvalidSignatureException", Cause::kKmsBadCredentials},
                      ErrorCase{"ExpiredTokenException", Cause::kKmsBadCredentials},
                      ErrorCase{"MissingAuthenticationTokenException", Cause::kKmsBadCredentials},
                      ErrorCase{"SomethingNewException", Cause::kKmsCorrupt}),
    [](const auto& info) { return info.param.type; });

TEST_F(Aws, StatusDecidesWhereNoTypeDoes) {
  EXPECT_EQ(CauseOf(Refused("", "", 429)), Cause::kKmsThrottled);
  EXPECT_EQ(CauseOf(Refused("", "", 503)), Cause::kKmsUnreachable);
  EXPECT_EQ(CauseOf(Refused("", "", 403)), Cause::kKmsCorrupt) << "a gateway's 403 is not AWS's refusal";
  aws_.On("Decrypt", [](const auto&) { return Answer(403, "<html>"); });
  EXPECT_EQ(CauseOf(Unwrap(Open(), "x")), Cause::kKmsCorrupt);
  aws_.On("Decrypt", [](const auto&) {
    return Answer(400, "", {{"x-amzn-errortype", "DisabledException"}});
  });
  EXPECT_EQ(CauseOf(Unwrap(Open(), "x")), Cause::kKmsDisabled);
}

TEST_F(Aws, PendingDeletionIsToldByItsMessage) {
  const Status status =
      Refused("KMSInvalidStateException", std::string(FakeAws::kKey) + " is pending deletion.");
  EXPECT_EQ(CauseOf(status), Cause::kKmsPendingDeletion);
  EXPECT_EQ(aws_.Count("DescribeKey"), 0U);
}

TEST_F(Aws, InvalidStateIsLookedAt) {
  for (const auto& [state, cause] :
       std::map<std::string, Cause>{{"PendingDeletion", Cause::kKmsPendingDeletion},
                                    {"PendingImport", Cause::kKmsDisabled},
                                    {"Unavailable", Cause::kKmsDisabled},
                                    {"Updating", Cause::kKmsUnreachable}}) {
    aws_.metadata["KeyState"] = state;
    const Status status = Refused("KMSInvalidStateException", "not in this state");
    EXPECT_EQ(CauseOf(status), cause) << state;
    EXPECT_THAT(Message(status), HasSubstr(state));
  }
  aws_.On("DescribeKey", [](const auto&) { return AwsError("AccessDeniedException", "no"); });
  EXPECT_EQ(CauseOf(Refused("KMSInvalidStateException", "not in this state")), Cause::kKmsDisabled);
}

TEST_F(Aws, DeniedNamesKeyPrincipalActionAndStatement) {
  const std::string message = Message(Refused("AccessDeniedException", "not authorized\n\x1b[31m"));
  EXPECT_THAT(message, HasSubstr("kms:Decrypt on " + std::string(FakeAws::kKey) + " as " + FakeAws::kCaller));
  EXPECT_THAT(
      message,
      HasSubstr(std::string(R"({"Effect":"Allow","Principal":{"AWS":")") + FakeAws::kCaller +
                R"("},"Action":["kms:Encrypt","kms:Decrypt","kms:GenerateDataKey","kms:DescribeKey"],)"
                R"("Resource":"*"})"));
  EXPECT_EQ(message.find('\x1b'), std::string::npos) << "what a cloud says is printed safely";
}

TEST_F(Aws, WhatMayPassIsTriedAgainUntilItDoes) {
  int left = 4;
  aws_.On("Encrypt", [&](const FakeAws::Seen& seen) -> StatusOr<HttpResponse> {
    if (--left == 3) return Error(Cause::kKmsUnreachable, "reset");
    if (left == 2) return AwsError("ThrottlingException", "slow down");
    if (left == 1) return Answer(503, "", {{"retry-after", "3"}});
    return aws_.Serve(seen);
  });
  EXPECT_TRUE(Wrap(Open()).ok());
  ASSERT_EQ(sleeper_.waits.size(), 3U);
  EXPECT_GE(sleeper_.waits[2], absl::Seconds(3)) << "Retry-After is kept";
}

TEST_F(Aws, BudgetEndsTheTries) {
  aws_.On("Encrypt", [&](const auto&) {
    clock_.Advance(absl::Seconds(2));
    return Error(Cause::kKmsUnreachable, "cannot reach it: timed out");
  });
  const absl::Time start = clock_.Now();
  const Status status = Open().Wrap(crypto::AsBytes(secret_), context_, absl::Seconds(10)).status();
  EXPECT_EQ(CauseOf(status), Cause::kKmsUnreachable);
  EXPECT_THAT(Message(status), HasSubstr("kms:Encrypt on " + std::string(FakeAws::kKey)));
  EXPECT_LE(clock_.Now() - start, absl::Seconds(12));
  EXPECT_GT(aws_.Count("Encrypt"), 2U);
}

TEST_F(Aws, BudgetCoversTheCallsToStsToo) {
  std::vector<absl::Duration> timeouts;
  aws_.on_timeout = [&](absl::Duration timeout) {
    timeouts.push_back(timeout);
    clock_.Advance(absl::Seconds(2));
  };
  ASSERT_TRUE(Open(FakeAws::kRole).Wrap(crypto::AsBytes(secret_), context_, absl::Seconds(9)).ok());
  EXPECT_THAT(timeouts, ElementsAre(absl::Seconds(9), absl::Seconds(7), absl::Seconds(5)))
      << "GetCallerIdentity, AssumeRole, Encrypt";
}

TEST_F(Aws, RefusalsAreNotTriedAgain) {
  EXPECT_EQ(CauseOf(Refused("AccessDeniedException", "no")), Cause::kKmsDenied);
  EXPECT_EQ(aws_.Count("Decrypt"), 1U);
  EXPECT_TRUE(sleeper_.waits.empty());
}

class AwsAnswers : public Aws {
 protected:
  Status Believed(const std::string& action, const std::string& body) {
    aws_.On(action, [=](const auto&) { return Answer(200, body); });
    return action == "Encrypt" ? Wrap(Open()).status() : Unwrap(Open(), "x");
  }
};

TEST_F(AwsAnswers, ForAnotherKeyAreNotBelieved) {
  const std::string other = "arn:aws:kms:us-east-1:111122223333:key/00000000-12ab-34cd-56ef-1234567890ab";
  EXPECT_EQ(CauseOf(Believed("Decrypt", R"({"KeyId":")" + other + R"(","Plaintext":"c3M="})")),
            Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(Believed("Encrypt", R"({"KeyId":")" + other + R"(","CiphertextBlob":"c3M="})")),
            Cause::kKmsCorrupt);
  aws_.metadata["Arn"] = other;
  EXPECT_EQ(CauseOf(Open().Describe(kBudget).status()), Cause::kKmsCorrupt);
}

TEST_F(AwsAnswers, AsLongAndDeepAsTheTransportLetsThroughAreNotBelieved) {
  constexpr size_t kLongest = 256 << 10;
  std::string deep, wide = "{\"a\":[1";
  while (deep.size() < kLongest) deep += deep.empty() ? "{\"a\":" : "[";
  while (wide.size() < kLongest) wide += ",{}";
  for (const std::string& body : {deep, wide + "]}"}) {
    EXPECT_EQ(CauseOf(Believed("Decrypt", body)), Cause::kKmsCorrupt);
    aws_.On("Decrypt", [=](const auto&) { return Answer(400, body); });
    EXPECT_EQ(CauseOf(Unwrap(Open(), "x")), Cause::kKmsCorrupt);
  }
}

TEST_F(AwsAnswers, MayNameAnyDateOfDeletion) {
  const auto deletion_at = [&](const nlohmann::json& date) {
    aws_.metadata["DeletionDate"] = date;
    return Open().Describe(kBudget)->deletion_at;
  };
  EXPECT_EQ(deletion_at(1.8e9 + 0.25), absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(deletion_at(1e300), absl::InfiniteFuture());
  EXPECT_EQ(deletion_at(-1e300), absl::InfinitePast());
  EXPECT_EQ(deletion_at("soon"), absl::InfiniteFuture());
}

TEST_F(AwsAnswers, ThatAreMalformedAreNotBelieved) {
  const std::string key = std::string(R"("KeyId":")") + FakeAws::kKey + "\"";
  for (const std::string& body :
       {std::string(), std::string("{"), std::string("[]"), std::string("{}"), "{" + key + "}",
        "{" + key + R"(,"Plaintext":7})", "{" + key + R"(,"Plaintext":""})",
        "{" + key + R"(,"Plaintext":"a"})", "{" + key + R"(,"Plaintext":"c3M"})",
        "{" + key + R"(,"Plaintext":" c3M"})", "{" + key + R"(,"Plaintext":"c3N="})",
        "{" + key + R"(,"Plaintext":"====" })", std::string(R"({"KeyId":null,"Plaintext":"c3M="})")}) {
    EXPECT_EQ(CauseOf(Believed("Decrypt", body)), Cause::kKmsCorrupt) << body;
  }
  EXPECT_EQ(CauseOf(Believed("Encrypt", "{" + key + R"(,"CiphertextBlob":""})")), Cause::kKmsCorrupt);
  EXPECT_TRUE(Believed("Decrypt", "{" + key + R"(,"Plaintext":"c3M="})").ok());
}

TEST_F(AwsAnswers, OfStsThatAreMalformedAreNotBelieved) {
  for (const std::string body :
       {"", "<Arn>", "<Arn></Arn><Arn></Arn>", "<Arn>&evil;</Arn>", "<Arn><b/></Arn>"}) {
    aws_.On("GetCallerIdentity", [=](const auto&) { return Answer(200, body); });
    EXPECT_EQ(CauseOf(Wrap(Open(FakeAws::kRole)).status()), Cause::kKmsCorrupt) << body;
  }
}

class AwsCheck : public Aws {
 protected:
  CheckReport Check(const std::string& region = "us-east-1") {
    return Open().Check(region, context_, kBudget);
  }
  void Deny(const std::string& action) {
    aws_.On(action, [](const auto&) { return AwsError("AccessDeniedException", "not authorized"); });
  }
  static std::vector<std::string> Failed(const CheckReport& report) {
    std::vector<std::string> names;
    for (const CheckStep& step : report.steps) {
      if (!step.passed) names.push_back(step.name);
    }
    return names;
  }
};

TEST_F(AwsCheck, PassesEachStepOnItsOwn) {
  const CheckReport report = Check();
  std::vector<std::string> names;
  for (const CheckStep& step : report.steps) names.push_back(step.name);
  EXPECT_THAT(names,
              ElementsAre("region", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"));
  EXPECT_TRUE(report.Usable());
  EXPECT_TRUE(report.ToStatus().ok());
}

TEST_F(AwsCheck, CallsNothingButTheFourActions) {
  Check();
  for (const FakeAws::Seen& seen : aws_.seen()) {
    EXPECT_TRUE(seen.action == "Encrypt" || seen.action == "Decrypt" || seen.action == "GenerateDataKey" ||
                seen.action == "DescribeKey")
        << seen.action;
  }
}

TEST_F(AwsCheck, NamesTheOneMissingGrant) {
  for (const std::string action : {"DescribeKey", "Encrypt", "GenerateDataKey", "Decrypt"}) {
    Deny(action);
    const CheckReport report = Check();
    EXPECT_THAT(Failed(report), ElementsAre("kms:" + action));
    EXPECT_EQ(CauseOf(report.ToStatus()), Cause::kKmsDenied);
    EXPECT_THAT(Message(report.ToStatus()), HasSubstr("kms:" + action + " on"));
    EXPECT_THAT(Message(report.ToStatus()), HasSubstr(R"("Principal":{"AWS":")"));
    aws_.On(action, nullptr);
  }
}

TEST_F(AwsCheck, NamesAllMissingGrants) {
  for (const char* action : {"DescribeKey", "Encrypt", "GenerateDataKey", "Decrypt"}) Deny(action);
  EXPECT_THAT(Failed(Check()),
              ElementsAre("kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"));
}

TEST_F(AwsCheck, WrongRegionIsRefusedBeforeAnythingIsSent) {
  const CheckReport report = Check("eu-west-1");
  EXPECT_EQ(CauseOf(report.ToStatus()), Cause::kKmsWrongKey);
  EXPECT_TRUE(aws_.seen().empty());
}

TEST_F(AwsCheck, WrongUsageAndSpecAreRefused) {
  aws_.metadata["KeyUsage"] = "SIGN_VERIFY";
  aws_.metadata["KeySpec"] = "RSA_2048";
  const CheckReport report = Check();
  EXPECT_EQ(CauseOf(report.ToStatus()), Cause::kKmsWrongKey);
  EXPECT_THAT(Message(report.ToStatus()), HasSubstr("RSA_2048"));
  EXPECT_EQ(aws_.Count("Encrypt"), 0U);
}

TEST_F(AwsCheck, KeyStateIsTold) {
  for (const auto& [state, cause] : std::map<std::string, Cause>{
           {"Disabled", Cause::kKmsDisabled}, {"PendingDeletion", Cause::kKmsPendingDeletion}}) {
    aws_.metadata["KeyState"] = state;
    EXPECT_EQ(CauseOf(Check().ToStatus()), cause);
  }
}

TEST_F(AwsCheck, NoticesAKmsThatDecryptsToSomethingElse) {
  aws_.On("Decrypt", [](const auto&) {
    return Answer(200, std::string(R"({"KeyId":")") + FakeAws::kKey + R"(","Plaintext":"c3M="})");
  });
  EXPECT_EQ(CauseOf(Check().ToStatus()), Cause::kKmsCorrupt);
}

TEST_F(Aws, ProviderKnowsItsClouds) {
  provider_ = NewProvider(Options(), aws_);
  EXPECT_EQ(CauseOf(provider_->Open({KeyType::kGcpCloudKms, "x", ""}).status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(provider_->Open({KeyType::kAzureKeyVault, "x", ""}).status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(provider_->Open({KeyType::kAwsKms, "arn:aws:kms:evil", ""}).status()),
            Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(provider_->Open(NullKmsSpec()).status()), Cause::kFailedPrecondition) << "no such file";
}

TEST_F(Aws, SizesAreChecked) {
  Kms& kms = Open();
  EXPECT_EQ(CauseOf(kms.Wrap({}, context_, kBudget).status()), Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(kms.Wrap(crypto::AsBytes(std::string(4097, 'x')), context_, kBudget).status()),
            Cause::kInvalidArgument);
  EXPECT_EQ(CauseOf(kms.Unwrap({}, context_, kBudget).status()), Cause::kKmsCorrupt);
  EXPECT_EQ(CauseOf(kms.Unwrap(crypto::AsBytes(std::string(6145, 'x')), context_, kBudget).status()),
            Cause::kKmsCorrupt);
  EXPECT_TRUE(aws_.seen().empty());
}

}  // namespace
}  // namespace keyhold::kms
