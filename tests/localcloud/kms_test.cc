// What AWS KMS's operations do, over HTTP as a client sees them.
#include <set>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {
namespace {

class KmsTest : public testing::Test {
 protected:
  Answer Call(const std::string& operation, const Json& in) { return cloud.Customer().Kms(operation, in); }

  std::string Encrypt(const std::string& key, const std::string& plaintext,
                      const Json& context = Json::object()) {
    Answer answer =
        Call("Encrypt",
             {{"KeyId", key}, {"Plaintext", absl::Base64Escape(plaintext)}, {"EncryptionContext", context}});
    EXPECT_TRUE(answer.ok()) << answer.text;
    return answer.body.value("CiphertextBlob", "");
  }

  void ExpectPlaintext(const Answer& answer, const std::string& plaintext) {
    ASSERT_TRUE(answer.ok()) << answer.text;
    std::string bytes;
    ASSERT_TRUE(absl::Base64Unescape(answer.body.value("Plaintext", ""), &bytes));
    EXPECT_EQ(bytes, plaintext);
  }

  void ExpectError(const Answer& answer, const std::string& type, const std::string& message) {
    EXPECT_EQ(answer.status, 400) << answer.text;
    EXPECT_EQ(answer.type, type) << answer.text;
    EXPECT_EQ(answer.message, message);
  }

  TestCloud cloud;
};

TEST_F(KmsTest, CreatedKeyIsDescribedByEveryName) {
  Answer created = Call(
      "CreateKey",
      {{"Description", "CockroachDB CMEK - demo"}, {"KeyUsage", "ENCRYPT_DECRYPT"}, {"Origin", "AWS_KMS"}});
  ASSERT_TRUE(created.ok()) << created.text;
  Json metadata = created.body["KeyMetadata"];
  std::string id = metadata["KeyId"], arn = metadata["Arn"];
  EXPECT_EQ(arn, "arn:aws:kms:us-east-1:" + cloud.customer_account() + ":key/" + id);
  EXPECT_EQ(metadata["KeyState"], "Enabled");
  EXPECT_EQ(metadata["Enabled"], true);
  EXPECT_EQ(metadata["KeySpec"], "SYMMETRIC_DEFAULT");
  EXPECT_EQ(metadata["KeyManager"], "CUSTOMER");
  EXPECT_EQ(metadata["Description"], "CockroachDB CMEK - demo");
  EXPECT_NEAR(metadata["CreationDate"].get<double>(),
              absl::ToDoubleSeconds(cloud.clock().Now() - absl::UnixEpoch()), 1);
  ASSERT_TRUE(Call("CreateAlias", {{"AliasName", "alias/demo"}, {"TargetKeyId", arn}}).ok());
  std::string alias_arn = "arn:aws:kms:us-east-1:" + cloud.customer_account() + ":alias/demo";
  for (const std::string& name : {id, arn, std::string("alias/demo"), alias_arn}) {
    Answer described = Call("DescribeKey", {{"KeyId", name}});
    ASSERT_TRUE(described.ok()) << name << ": " << described.text;
    EXPECT_EQ(described.body["KeyMetadata"], metadata) << name;
  }
}

TEST_F(KmsTest, EncryptedIsDecryptedOnlyUnderItsContext) {
  std::string key = cloud.NewKey();
  std::string blob = Encrypt(key, "a secret", {{"cluster", "c1"}, {"store", "1"}});
  ExpectPlaintext(
      Call("Decrypt", {{"CiphertextBlob", blob}, {"EncryptionContext", {{"store", "1"}, {"cluster", "c1"}}}}),
      "a secret");
  ExpectPlaintext(Call("Decrypt", {{"CiphertextBlob", blob},
                                   {"KeyId", key},
                                   {"EncryptionContext", {{"store", "1"}, {"cluster", "c1"}}}}),
                  "a secret");
  for (const Json& context :
       {Json::object(), Json{{"cluster", "c1"}}, Json{{"cluster", "c2"}, {"store", "1"}},
        Json{{"cluster", "c1s"}, {"tore", "1"}}}) {
    ExpectError(Call("Decrypt", {{"CiphertextBlob", blob}, {"EncryptionContext", context}}),
                "InvalidCiphertextException", "");
  }
}

TEST_F(KmsTest, EveryDamagedByteOfABlobIsNoticed) {
  std::string key = cloud.NewKey();
  std::string blob;
  ASSERT_TRUE(absl::Base64Unescape(Encrypt(key, "x"), &blob));
  for (size_t i = 0; i < blob.size(); i++) {
    std::string damaged = blob;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    Answer answer = Call("Decrypt", {{"CiphertextBlob", absl::Base64Escape(damaged)}, {"KeyId", key}});
    bool names_key = i >= 1 && i < 38;
    EXPECT_EQ(answer.type, names_key ? "IncorrectKeyException" : "InvalidCiphertextException") << i;
  }
  for (size_t size : {0UL, 1UL, 2UL, 20UL, blob.size() - 1}) {
    Answer answer = Call("Decrypt", {{"CiphertextBlob", absl::Base64Escape(blob.substr(0, size))}});
    EXPECT_EQ(answer.type, size == 0 ? "ValidationException" : "InvalidCiphertextException") << size;
  }
}

TEST_F(KmsTest, WrongKeyIsTold) {
  std::string one = cloud.NewKey(), other = cloud.NewKey();
  ExpectError(Call("Decrypt", {{"CiphertextBlob", Encrypt(one, "x")}, {"KeyId", other}}),
              "IncorrectKeyException",
              "The key ID in the request does not identify a CMK that can perform this operation.");
}

TEST_F(KmsTest, PlaintextHasAtMost4096Bytes) {
  std::string key = cloud.NewKey();
  std::string most(4096, 'p');
  ExpectPlaintext(Call("Decrypt", {{"CiphertextBlob", Encrypt(key, most)}}), most);
  ExpectError(
      Call("Encrypt", {{"KeyId", key}, {"Plaintext", absl::Base64Escape(most + "p")}}), "ValidationException",
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have "
      "length less than or equal to 4096");
}

TEST_F(KmsTest, DataKeys) {
  std::string key = cloud.NewKey();
  Answer made =
      Call("GenerateDataKey", {{"KeyId", key}, {"KeySpec", "AES_256"}, {"EncryptionContext", {{"a", "b"}}}});
  ASSERT_TRUE(made.ok()) << made.text;
  Answer opened =
      Call("Decrypt", {{"CiphertextBlob", made.body["CiphertextBlob"]}, {"EncryptionContext", {{"a", "b"}}}});
  EXPECT_EQ(opened.body["Plaintext"], made.body["Plaintext"]);
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape(made.body["Plaintext"].get<std::string>(), &bytes));
  EXPECT_EQ(bytes.size(), 32u);
  Answer without = Call("GenerateDataKeyWithoutPlaintext", {{"KeyId", key}, {"NumberOfBytes", 64}});
  EXPECT_FALSE(without.body.contains("Plaintext"));
  EXPECT_TRUE(without.body.contains("CiphertextBlob"));
  ExpectError(Call("GenerateDataKey", {{"KeyId", key}}), "ValidationException",
              "Please specify either number of bytes or key spec.");
}

TEST_F(KmsTest, ReEncryptMovesToAnotherKeyAndContext) {
  std::string one = cloud.NewKey(), other = cloud.NewKey();
  Answer moved = Call("ReEncrypt", {{"CiphertextBlob", Encrypt(one, "moved", {{"at", "one"}})},
                                    {"SourceEncryptionContext", {{"at", "one"}}},
                                    {"DestinationKeyId", other},
                                    {"DestinationEncryptionContext", {{"at", "other"}}}});
  ASSERT_TRUE(moved.ok()) << moved.text;
  EXPECT_EQ(moved.body["SourceKeyId"], one);
  EXPECT_EQ(moved.body["KeyId"], other);
  ASSERT_TRUE(Call("DisableKey", {{"KeyId", one}}).ok());
  ExpectPlaintext(Call("Decrypt", {{"CiphertextBlob", moved.body["CiphertextBlob"]},
                                   {"EncryptionContext", {{"at", "other"}}}}),
                  "moved");
}

// The table of docs.aws.amazon.com/kms/latest/developerguide/key-state.html.
struct StateCase {
  const char* operation;
  Json in;
  const char* disabled;  // error type, "" for success
  const char* pending;
};

TEST_F(KmsTest, KeyStatesAllowWhatAwsSays) {
  const std::string x = absl::Base64Escape("x");
  const StateCase cases[] = {
      {"DescribeKey", {}, "", ""},
      {"GetKeyPolicy", {}, "", ""},
      {"ListKeyPolicies", {}, "", ""},
      {"ListResourceTags", {}, "", ""},
      {"ListGrants", {}, "", ""},
      {"ListAliases", {}, "", ""},
      {"GetKeyRotationStatus", {}, "", ""},
      {"ListKeyRotations", {}, "", ""},
      {"UpdateKeyDescription", {{"Description", "d"}}, "", "KMSInvalidStateException"},
      {"TagResource", {{"Tags", {{{"TagKey", "a"}, {"TagValue", "b"}}}}}, "", "KMSInvalidStateException"},
      {"UntagResource", {{"TagKeys", {"a"}}}, "", "KMSInvalidStateException"},
      {"CreateAlias", {{"AliasName", "alias/s"}}, "", "KMSInvalidStateException"},
      {"Encrypt", {{"Plaintext", x}}, "DisabledException", "KMSInvalidStateException"},
      {"GenerateDataKey", {{"KeySpec", "AES_256"}}, "DisabledException", "KMSInvalidStateException"},
      {"GenerateDataKeyWithoutPlaintext",
       {{"KeySpec", "AES_256"}},
       "DisabledException",
       "KMSInvalidStateException"},
      {"EnableKeyRotation", {}, "DisabledException", "KMSInvalidStateException"},
      {"DisableKeyRotation", {}, "DisabledException", "KMSInvalidStateException"},
      {"RotateKeyOnDemand", {}, "DisabledException", "KMSInvalidStateException"},
      {"DisableKey", {}, "", "KMSInvalidStateException"},
      {"CancelKeyDeletion", {}, "KMSInvalidStateException", ""},
      {"EnableKey", {}, "", "KMSInvalidStateException"},
      {"ScheduleKeyDeletion", {}, "", "KMSInvalidStateException"},
  };
  for (const StateCase& c : cases) {
    std::string disabled = cloud.NewKey(), pending = cloud.NewKey();
    ASSERT_TRUE(Call("DisableKey", {{"KeyId", disabled}}).ok());
    ASSERT_TRUE(Call("ScheduleKeyDeletion", {{"KeyId", pending}, {"PendingWindowInDays", 7}}).ok());
    for (const auto& [key, expected, told] : {std::tuple(disabled, c.disabled, " is disabled."),
                                              std::tuple(pending, c.pending, " is pending deletion.")}) {
      Json in = c.in.is_null() ? Json::object() : c.in;
      in[std::string(c.operation) == "CreateAlias" ? "TargetKeyId" : "KeyId"] = key;
      Answer answer = Call(c.operation, in);
      EXPECT_EQ(answer.type, expected) << c.operation << told << answer.text;
      if (!answer.ok() && std::string(c.operation) != "CancelKeyDeletion") {
        EXPECT_EQ(answer.message, key + told);
      }
    }
  }
}

TEST_F(KmsTest, DecryptAndReEncryptRespectTheState) {
  std::string key = cloud.NewKey(), good = cloud.NewKey();
  std::string blob = Encrypt(key, "x"), good_blob = Encrypt(good, "x");
  ASSERT_TRUE(Call("DisableKey", {{"KeyId", key}}).ok());
  std::string disabled = key + " is disabled.";
  ExpectError(Call("Decrypt", {{"CiphertextBlob", blob}}), "DisabledException", disabled);
  ExpectError(Call("ReEncrypt", {{"CiphertextBlob", blob}, {"DestinationKeyId", good}}), "DisabledException",
              disabled);
  ExpectError(Call("ReEncrypt", {{"CiphertextBlob", good_blob}, {"DestinationKeyId", key}}),
              "DisabledException", disabled);
  ASSERT_TRUE(Call("EnableKey", {{"KeyId", key}}).ok());
  ExpectPlaintext(Call("Decrypt", {{"CiphertextBlob", blob}}), "x");
}

TEST_F(KmsTest, ADeletionWindowEndsAndNothingDecryptsAfterIt) {
  std::string key = cloud.NewKey(), kept = cloud.NewKey();
  std::string blob = Encrypt(key, "gone"), kept_blob = Encrypt(kept, "kept");
  ASSERT_TRUE(Call("CreateAlias", {{"AliasName", "alias/gone"}, {"TargetKeyId", key}}).ok());
  Answer scheduled = Call("ScheduleKeyDeletion", {{"KeyId", key}, {"PendingWindowInDays", 7}});
  ASSERT_TRUE(scheduled.ok());
  EXPECT_EQ(scheduled.body["KeyState"], "PendingDeletion");
  ASSERT_TRUE(Call("ScheduleKeyDeletion", {{"KeyId", kept}, {"PendingWindowInDays", 8}}).ok());
  cloud.clock().Advance(absl::Hours(24 * 7) - absl::Seconds(1));
  EXPECT_EQ(Call("DescribeKey", {{"KeyId", key}}).body["KeyMetadata"]["KeyState"], "PendingDeletion");
  cloud.clock().Advance(absl::Seconds(1));
  ExpectError(Call("DescribeKey", {{"KeyId", key}}), "NotFoundException", "Key '" + key + "' does not exist");
  ExpectError(Call("CancelKeyDeletion", {{"KeyId", key}}), "NotFoundException",
              "Key '" + key + "' does not exist");
  ExpectError(
      Call("Decrypt", {{"CiphertextBlob", blob}}), "AccessDeniedException",
      "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or "
      "you are not allowed to access.");
  EXPECT_EQ(Call("Encrypt", {{"KeyId", "alias/gone"}, {"Plaintext", "eA=="}}).type, "NotFoundException");
  ASSERT_TRUE(Call("CancelKeyDeletion", {{"KeyId", kept}}).ok());
  ExpectError(Call("Decrypt", {{"CiphertextBlob", kept_blob}}), "DisabledException", kept + " is disabled.");
  ASSERT_TRUE(Call("EnableKey", {{"KeyId", kept}}).ok());
  ExpectPlaintext(Call("Decrypt", {{"CiphertextBlob", kept_blob}}), "kept");
}

TEST_F(KmsTest, DeletionWindowsAreSevenToThirtyDays) {
  std::string key = cloud.NewKey();
  for (int days : {0, 6, 31, 365}) {
    EXPECT_EQ(Call("ScheduleKeyDeletion", {{"KeyId", key}, {"PendingWindowInDays", days}}).type,
              "ValidationException");
  }
  Answer scheduled = Call("ScheduleKeyDeletion", {{"KeyId", key}});
  EXPECT_EQ(scheduled.body["PendingWindowInDays"], 30);
}

TEST_F(KmsTest, EveryMaterialVersionIsKeptAcrossRotations) {
  std::string key = cloud.NewKey();
  std::vector<std::string> blobs = {Encrypt(key, "version 0")};
  for (int i = 1; i <= 3; i++) {
    ASSERT_TRUE(Call("RotateKeyOnDemand", {{"KeyId", key}}).ok());
    blobs.push_back(Encrypt(key, absl::StrCat("version ", i)));
  }
  for (int i = 0; i <= 3; i++) {
    ExpectPlaintext(Call("Decrypt", {{"CiphertextBlob", blobs[i]}}), absl::StrCat("version ", i));
  }
  Json rotations = Call("ListKeyRotations", {{"KeyId", key}}).body["Rotations"];
  ASSERT_EQ(rotations.size(), 3u);
  EXPECT_EQ(rotations[0]["RotationType"], "ON_DEMAND");
  EXPECT_EQ(rotations[2]["KeyMaterialId"],
            Call("DescribeKey", {{"KeyId", key}}).body["KeyMetadata"]["CurrentKeyMaterialId"]);
}

TEST_F(KmsTest, OnDemandRotationsAreLimited) {
  std::string key = cloud.NewKey();
  for (int i = 0; i < 25; i++) ASSERT_TRUE(Call("RotateKeyOnDemand", {{"KeyId", key}}).ok());
  EXPECT_EQ(Call("RotateKeyOnDemand", {{"KeyId", key}}).type, "LimitExceededException");
}

TEST_F(KmsTest, AutomaticRotationComesWhenItIsDue) {
  std::string key = cloud.NewKey();
  EXPECT_EQ(Call("GetKeyRotationStatus", {{"KeyId", key}}).body["KeyRotationEnabled"], false);
  ASSERT_TRUE(Call("EnableKeyRotation", {{"KeyId", key}, {"RotationPeriodInDays", 90}}).ok());
  Json status = Call("GetKeyRotationStatus", {{"KeyId", key}}).body;
  EXPECT_EQ(status["KeyRotationEnabled"], true);
  EXPECT_EQ(status["RotationPeriodInDays"], 90);
  std::string blob = Encrypt(key, "before");
  cloud.clock().Advance(absl::Hours(24 * 90));
  Json rotations = Call("ListKeyRotations", {{"KeyId", key}}).body["Rotations"];
  ASSERT_EQ(rotations.size(), 1u);
  EXPECT_EQ(rotations[0]["RotationType"], "AUTOMATIC");
  ExpectPlaintext(Call("Decrypt", {{"CiphertextBlob", blob}}), "before");
  ASSERT_TRUE(Call("DisableKeyRotation", {{"KeyId", key}}).ok());
  cloud.clock().Advance(absl::Hours(24 * 400));
  EXPECT_EQ(Call("ListKeyRotations", {{"KeyId", key}}).body["Rotations"].size(), 1u);
}

TEST_F(KmsTest, RegionsAreApart) {
  std::string key = cloud.NewKey(Json::object(), "eu-west-1");
  std::string id = key.substr(key.rfind('/') + 1);
  ExpectError(Call("DescribeKey", {{"KeyId", key}}), "NotFoundException", "Invalid arn eu-west-1");
  ExpectError(Call("DescribeKey", {{"KeyId", id}}), "NotFoundException",
              "Key 'arn:aws:kms:us-east-1:" + cloud.customer_account() + ":key/" + id + "' does not exist");
  Answer sealed = cloud.Customer().Kms("Encrypt", {{"KeyId", id}, {"Plaintext", "eA=="}}, "eu-west-1");
  ASSERT_TRUE(sealed.ok()) << sealed.text;
  EXPECT_EQ(Call("Decrypt", {{"CiphertextBlob", sealed.body["CiphertextBlob"]}}).type,
            "AccessDeniedException");
  EXPECT_TRUE(Call("ListKeys", Json::object()).body["Keys"].empty());
}

TEST_F(KmsTest, NamesThatAreNoKeysAreTold) {
  std::string account = cloud.customer_account();
  const std::pair<std::string, std::string> cases[] = {
      {"fake-key-id", "Invalid keyId 'fake-key-id'"},
      {"134f2428cec14b25a1ae9048164dba47", "Invalid keyId '134f2428cec14b25a1ae9048164dba47'"},
      {"mrk-fake-key-id", "Invalid keyId 'mrk-fake-key-id'"},
      {"../../etc/passwd", "Invalid keyId '../../etc/passwd'"},
      {"12345678-1234-1234-1234-123456789012",
       "Key 'arn:aws:kms:us-east-1:" + account + ":key/12345678-1234-1234-1234-123456789012' does not exist"},
      {"alias/none", "Alias arn:aws:kms:us-east-1:" + account + ":alias/none is not found."},
      {"arn:aws:s3:::bucket", "Invalid arn arn:aws:s3:::bucket"},
  };
  for (const auto& [name, message] : cases) {
    ExpectError(Call("DescribeKey", {{"KeyId", name}}), "NotFoundException", message);
  }
  EXPECT_EQ(Call("DescribeKey", {{"KeyId", ""}}).type, "ValidationException");
  EXPECT_EQ(Call("DescribeKey", Json::object()).type, "ValidationException");
  EXPECT_EQ(Call("DescribeKey", {{"KeyId", std::string(3000, 'a')}}).type, "ValidationException");
}

TEST_F(KmsTest, KeysOfOtherUsageAreDescribedAndRefusedForEncryption) {
  struct Case {
    const char* spec;
    const char* usage;
    const char* told;
  };
  for (const Case& c :
       {Case{"RSA_2048", "SIGN_VERIFY", " key usage is SIGN_VERIFY which is not valid for Encrypt."},
        Case{"ECC_NIST_P256", "SIGN_VERIFY", " key usage is SIGN_VERIFY which is not valid for Encrypt."},
        Case{"HMAC_256", "GENERATE_VERIFY_MAC",
             " key usage is GENERATE_VERIFY_MAC which is not valid for Encrypt."}}) {
    std::string key = cloud.NewKey({{"KeySpec", c.spec}, {"KeyUsage", c.usage}});
    Json metadata = Call("DescribeKey", {{"KeyId", key}}).body["KeyMetadata"];
    EXPECT_EQ(metadata["KeySpec"], c.spec);
    EXPECT_EQ(metadata["KeyUsage"], c.usage);
    EXPECT_FALSE(metadata.contains("EncryptionAlgorithms"));
    ExpectError(Call("Encrypt", {{"KeyId", key}, {"Plaintext", "eA=="}}), "InvalidKeyUsageException",
                key + c.told);
  }
  std::string rsa = cloud.NewKey({{"KeySpec", "RSA_2048"}, {"KeyUsage", "ENCRYPT_DECRYPT"}});
  ExpectError(Call("Encrypt", {{"KeyId", rsa}, {"Plaintext", "eA=="}}), "InvalidKeyUsageException",
              "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.");
  EXPECT_EQ(Call("EnableKeyRotation", {{"KeyId", rsa}}).type, "UnsupportedOperationException");
  EXPECT_EQ(Call("CreateKey", {{"KeySpec", "HMAC_256"}}).message,
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
  EXPECT_EQ(Call("CreateKey", {{"KeySpec", "HMAC_random"}, {"KeyUsage", "SIGN_VERIFY"}}).type,
            "ValidationException");
  EXPECT_EQ(Call("CreateKey", {{"KeySpec", "HMAC_256"}, {"KeyUsage", "ENCRYPT_DECRYPT"}}).type,
            "ValidationException");
}

TEST_F(KmsTest, AliasesMoveAndGo) {
  std::string one = cloud.NewKey(), other = cloud.NewKey();
  ASSERT_TRUE(Call("CreateAlias", {{"AliasName", "alias/a"}, {"TargetKeyId", one}}).ok());
  ExpectError(
      Call("CreateAlias", {{"AliasName", "alias/a"}, {"TargetKeyId", other}}), "AlreadyExistsException",
      "An alias with the name arn:aws:kms:us-east-1:" + cloud.customer_account() + ":alias/a already exists");
  EXPECT_EQ(Call("DescribeKey", {{"KeyId", "alias/a"}}).body["KeyMetadata"]["Arn"], one);
  ASSERT_TRUE(Call("UpdateAlias", {{"AliasName", "alias/a"}, {"TargetKeyId", other}}).ok());
  EXPECT_EQ(Call("DescribeKey", {{"KeyId", "alias/a"}}).body["KeyMetadata"]["Arn"], other);
  EXPECT_EQ(Call("ListAliases", {{"KeyId", one}}).body["Aliases"].size(), 0u);
  EXPECT_EQ(Call("ListAliases", {{"KeyId", other}}).body["Aliases"][0]["AliasName"], "alias/a");
  ASSERT_TRUE(Call("DeleteAlias", {{"AliasName", "alias/a"}}).ok());
  EXPECT_EQ(Call("DescribeKey", {{"KeyId", "alias/a"}}).type, "NotFoundException");
  EXPECT_EQ(Call("CreateAlias", {{"AliasName", "a"}, {"TargetKeyId", one}}).message, "Invalid identifier");
  EXPECT_EQ(Call("CreateAlias", {{"AliasName", "alias/aws/x"}, {"TargetKeyId", one}}).type,
            "InvalidAliasNameException");
  EXPECT_EQ(Call("CreateAlias", {{"AliasName", "alias/;rm"}, {"TargetKeyId", one}}).type,
            "ValidationException");
  // An alias of an alias: there is none.
  EXPECT_EQ(Call("CreateAlias", {{"AliasName", "alias/b"}, {"TargetKeyId", "alias/a"}}).type,
            "NotFoundException");
}

TEST_F(KmsTest, ListsComeInPages) {
  std::set<std::string> made, listed;
  for (int i = 0; i < 7; i++) made.insert(cloud.NewKey());
  Json in = {{"Limit", 3}};
  int pages = 0;
  while (true) {
    Answer page = Call("ListKeys", in);
    ASSERT_TRUE(page.ok()) << page.text;
    pages++;
    for (const Json& key : page.body["Keys"]) listed.insert(key["KeyArn"]);
    if (page.body["Truncated"] == false) break;
    in["Marker"] = page.body["NextMarker"];
  }
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(listed, made);
  EXPECT_EQ(Call("ListKeys", {{"Marker", "!!"}}).type, "InvalidMarkerException");
}

TEST_F(KmsTest, TagsAreKept) {
  std::string key = cloud.NewKey({{"Tags", {{{"TagKey", "team"}, {"TagValue", "db"}}}}});
  ASSERT_TRUE(
      Call("TagResource", {{"KeyId", key}, {"Tags", {{{"TagKey", "env"}, {"TagValue", "test"}}}}}).ok());
  EXPECT_EQ(Call("ListResourceTags", {{"KeyId", key}}).body["Tags"].size(), 2u);
  ASSERT_TRUE(Call("UntagResource", {{"KeyId", key}, {"TagKeys", {"team"}}}).ok());
  EXPECT_EQ(Call("ListResourceTags", {{"KeyId", key}}).body["Tags"],
            Json::parse(R"([{"TagKey":"env","TagValue":"test"}])"));
}

TEST_F(KmsTest, WhatIsNotThereSaysSo) {
  EXPECT_EQ(Call("Sign", Json::object()).type, "UnknownOperationException");
  EXPECT_EQ(Call("CreateGrant", Json::object()).type, "UnsupportedOperationException");
  EXPECT_EQ(Call("CreateKey", {{"Origin", "EXTERNAL"}}).type, "UnsupportedOperationException");
  EXPECT_EQ(Call("CreateKey", {{"Origin", "MOON"}}).type, "ValidationException");
}

TEST_F(KmsTest, MalformedBodiesAreRefused) {
  for (const char* body :
       {"{", "[]", "null", "7", "{\"KeyId\":7}", "{\"KeyId\":{}}", "\xff\xfe", "{\"a\":\"\xc3\"}"}) {
    Answer answer = Call("DescribeKey", Json(body));
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.type, "SerializationException") << body;
  }
  std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_EQ(Call("DescribeKey", Json(deep)).type, "SerializationException");
  EXPECT_EQ(Call("Encrypt", {{"KeyId", cloud.NewKey()}, {"Plaintext", "not base64!"}}).type,
            "SerializationException");
}

TEST_F(KmsTest, ADryRunChangesNothing) {
  std::string key = cloud.NewKey();
  EXPECT_EQ(Call("Encrypt", {{"KeyId", key}, {"Plaintext", "eA=="}, {"DryRun", true}}).type,
            "DryRunOperationException");
  EXPECT_EQ(Call("CreateKey", {{"DryRun", true}}).type, "DryRunOperationException");
  EXPECT_EQ(Call("ListKeys", Json::object()).body["Keys"].size(), 1u);
}

TEST_F(KmsTest, TheAccessLogTellsWhoDidWhat) {
  std::string key = cloud.NewKey();
  Encrypt(key, "never in the log", {{"cluster", "c1"}});
  Call("DisableKey", {{"KeyId", key}});
  Call("Encrypt", {{"KeyId", key}, {"Plaintext", "eA=="}});
  std::istringstream log(ReadFile(cloud.File("access.log")));
  std::vector<Json> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(Json::parse(line));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0]["action"], "kms:CreateKey");
  EXPECT_EQ(lines[1]["encryption_context"], (Json{{"cluster", "c1"}}));
  EXPECT_EQ(lines[1]["outcome"], "OK");
  EXPECT_EQ(lines[1]["key"], key);
  EXPECT_EQ(lines[1]["principal"], "arn:aws:iam::" + cloud.customer_account() + ":user/admin");
  EXPECT_EQ(lines[3]["outcome"], "DisabledException");
  EXPECT_EQ(ReadFile(cloud.File("access.log")).find(absl::Base64Escape("never in the log")),
            std::string::npos);
}

}  // namespace
}  // namespace keyhold::localcloud
