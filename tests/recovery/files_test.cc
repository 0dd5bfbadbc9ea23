// The forms of shares and recovery files: what is written is read, golden files stay readable, and nothing
// else passes.
#include "recovery/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "crypto/hash.h"
#include "recovery/recovery_key.h"
#include "tests/base/temp_dir.h"
#include "tests/support/source_dir.h"

namespace keyhold::recovery {
namespace {

using ::testing::HasSubstr;

std::string Golden(const std::string& name) {
  return testing::ReadFile(testing::SourceDir() + "/tests/golden/v1/recovery/" + name);
}

// `text` with a checksum that fits what is before it.
std::string Resealed(const std::string& text) {
  const std::string body = text.substr(0, text.rfind("checksum: "));
  return body + "checksum: " + crypto::Hex(crypto::Sha256(crypto::AsBytes(body))) + "\n";
}

std::string Altered(const std::string& text, const std::string& from, const std::string& to) {
  EXPECT_THAT(text, HasSubstr(from));
  return Resealed(absl::StrReplaceAll(text, {{from, to}}));
}

TEST(RecoveryFiles, GoldenSharesAreReadAndWrittenToTheByte) {
  for (const int number : {1, 2, 3}) {
    const std::string text = Golden("share-" + std::to_string(number));
    const auto share = ParseShare(text);
    ASSERT_TRUE(share.ok()) << share.status();
    EXPECT_EQ(share->share.number, number);
    EXPECT_EQ(share->header.cluster_id, "c1b2");
    EXPECT_EQ(share->header.shares, 3);
    EXPECT_EQ(share->header.threshold, 2);
    EXPECT_EQ(EncodeShare(*share).ExposeText(), text);
  }
}

TEST(RecoveryFiles, AGoldenRecoveryFileIsWrittenToTheByteAndOpensByItsShares) {
  const auto file = ParseFile(Golden("recovery-file"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(EncodeFile(*file), Golden("recovery-file"));
  std::vector<ShareText> shares;
  for (const char* name : {"share-3", "share-1"}) {
    shares.push_back({name, crypto::SecretBytes::CopyOf(crypto::AsBytes(Golden(name)))});
  }
  const auto key = OpenRecoveryKey(*file, shares);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->PublicPem(), Golden("public-key.pem"));
}

TEST(RecoveryFiles, EveryAlteredByteIsNoticed) {
  for (const bool share : {true, false}) {
    const std::string text = Golden(share ? "share-1" : "recovery-file");
    for (size_t at = 0; at < text.size(); ++at) {
      std::string altered = text;
      altered[at] = static_cast<char>(altered[at] ^ 1);
      const Status status = share ? ParseShare(altered).status() : ParseFile(altered).status();
      ASSERT_EQ(CauseOf(status), Cause::kCorrupt) << at;
    }
    for (size_t size = 0; size < text.size(); ++size) {
      const std::string cut = text.substr(0, size);
      ASSERT_EQ(CauseOf(share ? ParseShare(cut).status() : ParseFile(cut).status()), Cause::kCorrupt) << size;
    }
  }
}

TEST(RecoveryFiles, WhatDoesNotFitIsRefusedThoughItsChecksumDoes) {
  const std::string share = Golden("share-1"), file = Golden("recovery-file");
  const std::string key = ParseFile(file)->header.key_id;
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"cluster: c1b2", "cluster: "},
           {"cluster: c1b2", "cluster: c1 b2"},
           {"cluster: c1b2", "cluster: " + std::string(256, 'c')},
           {"key: " + key, "key: " + key + "0"},
           {"key: " + key, "key: X" + key.substr(1)},
           {"share: 1 of 3", "share: 0 of 3"},
           {"share: 1 of 3", "share: 4 of 3"},
           {"share: 1 of 3", "share: 01 of 3"},
           {"share: 1 of 3; 2", "share: 1 of 3; 4"},
           {"share: 1 of 3; 2", "share: 1 of 3; 1"},
           {"share: 1 of 3; 2 are needed", "share: 1 of 256; 2 are needed"},
           {"share: 1 of 3; 2 are needed", "share: 1"},
           {"secret: ", "secret:  "},
           {"secret: ", "secret: 00"},
           {"\nsecret", "\nnote: x\nsecret"}}) {
    EXPECT_EQ(CauseOf(ParseShare(Altered(share, from, to)).status()), Cause::kCorrupt) << to;
  }
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"shares: 3; 2", "shares: 2; 3"},
                                                        {"private key: ", "private key: !"},
                                                        {"private key: ", "key: "}}) {
    EXPECT_EQ(CauseOf(ParseFile(Altered(file, from, to)).status()), Cause::kCorrupt) << to;
  }
  EXPECT_THAT(std::string(ParseShare(file).status().message()), HasSubstr("it is not a recovery share"));
  EXPECT_THAT(std::string(ParseFile(share).status().message()), HasSubstr("it is not a recovery file"));
}

TEST(RecoveryFiles, ANewerVersionIsSaidToBeOne) {
  const Status newer = ParseShare(Altered(Golden("share-1"), "version 1", "version 2")).status();
  EXPECT_EQ(CauseOf(newer), Cause::kFailedPrecondition);
  EXPECT_THAT(std::string(newer.message()), HasSubstr("newer Keyhold"));
}

}  // namespace
}  // namespace keyhold::recovery
