// The format by itself: what is written is read, at the limits too, and nothing past them.
#include "keyring/format.h"

#include "tests/keyring/fixture.h"

namespace keyhold::keyring {
namespace {

class Format : public Ring {
 protected:
  static KeyEntry Key(const std::string& uri, const std::string& wrapped) {
    return {{kms::KeyType::kAwsKms, uri, "arn:aws:iam::1:role/r"},
            absl::FromUnixMicros(1),
            absl::FromUnixMicros(2),
            1,
            wrapped,
            ""};
  }
  static DataKeyEntry DataKeyOf(DataKeyId id, DataKeyState state) {
    return {id,
            state,
            absl::FromUnixMicros(3),
            absl::FromUnixMicros(4),
            state == DataKeyState::kDestroyed ? "" : std::string(kWrappedDataKeySize, 'w'),
            0};
  }
  static Contents Small() {
    return {9, 2, {"c", "r", "s"}, {Key("uri", "wrapped")}, {DataKeyOf(1, DataKeyState::kActive)}};
  }
  Contents Proved() const {
    Contents contents = Small();
    contents.next_data_key = 3;
    contents.data_keys = {DataKeyOf(1, DataKeyState::kDestroyed), DataKeyOf(2, DataKeyState::kActive)};
    contents.proofs = {ProofOf(2)};
    return contents;
  }
  static StatusOr<Contents> Through(const Contents& contents) {
    const std::string file = WithTrailer(EncodeBody(contents), {});
    KEYHOLD_ASSIGN_OR_RETURN(Decoded decoded, Decode(file));
    EXPECT_EQ(EncodeBody(decoded.contents), decoded.body) << "one encoding for each ring";
    return std::move(decoded.contents);
  }
  static void ExpectCorrupt(const Contents& contents) {
    EXPECT_EQ(CauseOf(Through(contents).status()), Cause::kCorrupt);
  }
};

TEST_F(Format, KeepsEveryField) {
  const auto read = Through(Small());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->epoch, 9U);
  EXPECT_EQ(read->next_data_key, 2U);
  EXPECT_EQ(read->identity, (Identity{"c", "r", "s"}));
  EXPECT_EQ(read->keys[0].spec, Small().keys[0].spec);
  EXPECT_EQ(read->keys[0].wrapped, "wrapped");
  EXPECT_EQ(read->keys[0].created_at, absl::FromUnixMicros(1));
  EXPECT_EQ(read->keys[0].updated_at, absl::FromUnixMicros(2));
  EXPECT_EQ(read->data_keys[0].created_at, absl::FromUnixMicros(3));
  EXPECT_EQ(read->data_keys[0].updated_at, absl::FromUnixMicros(4));
}

TEST_F(Format, HeaderHasItsSize) {
  Contents empty = Small();
  empty.identity = {"", "", ""};
  empty.keys.clear();
  empty.data_keys.clear();
  EXPECT_EQ(EncodeBody(empty).size(), kHeaderSize + 3 * sizeof(uint16_t));
}

TEST_F(Format, FullestRingFits) {
  Contents full = Small();
  full.epoch = UINT64_MAX;
  full.next_data_key = UINT32_MAX;
  full.identity = {std::string(kMaxIdSize, 'c'), std::string(kMaxIdSize, 'r'), std::string(kMaxIdSize, 's')};
  full.keys[0] = Key(std::string(kms::kMaxUriSize, 'u'), std::string(kms::kMaxWrappedSize, 'w'));
  full.keys[0].spec.auth_principal = std::string(kms::kMaxUriSize, 'p');
  full.keys[0].version = std::string(kms::kMaxKeyVersionSize, 'v');
  KeyEntry past = full.keys[0];
  past.wrapped.clear();
  full.keys.resize(kMaxKeys, past);
  full.data_keys.clear();
  for (DataKeyId id = 1; id < kMaxDataKeys; ++id)
    full.data_keys.push_back(DataKeyOf(id, DataKeyState::kRetired));
  full.data_keys.push_back(DataKeyOf(UINT32_MAX - 1, DataKeyState::kActive));
  EXPECT_TRUE(Through(full).ok());
  // Proofs allow none of those keys to be there; they take more room than destroyed keys.
  Contents proved = full;
  for (DataKeyEntry& key : proved.data_keys) {
    if (key.state == DataKeyState::kRetired) key = DataKeyOf(key.id, DataKeyState::kDestroyed);
  }
  for (DataKeyId target = 2; target < 2 + kMaxProofs; ++target) proved.proofs.push_back(ProofOf(target));
  EXPECT_TRUE(Through(proved).ok());
  for (DataKeyEntry& key : full.data_keys) key.seals = kMostSeals;
  full.recovery = RecoveryEntry{std::string(kMaxPublicKeySize, 'p'), absl::FromUnixMicros(5),
                                std::string(kMaxSealedSize, 's')};
  EXPECT_LT(EncodeBody(full).size(), kMaxFileSize - kChecksumSize - kMacSize);
  EXPECT_TRUE(Through(full).ok());
}

TEST_F(Format, OneBeyondEachLimitIsRefused) {
  Contents contents = Small();
  KeyEntry past = Key("u", "");
  contents.keys.resize(kMaxKeys + 1, past);
  ExpectCorrupt(contents);
  contents = Small();
  contents.keys[0].spec.uri = std::string(kms::kMaxUriSize + 1, 'u');
  ExpectCorrupt(contents);
  contents = Small();
  contents.keys[0].spec.auth_principal = std::string(kms::kMaxUriSize + 1, 'p');
  ExpectCorrupt(contents);
  contents = Small();
  contents.keys[0].wrapped = std::string(kms::kMaxWrappedSize + 1, 'w');
  ExpectCorrupt(contents);
  contents = Small();
  contents.keys[0].version = std::string(kms::kMaxKeyVersionSize + 1, 'v');
  ExpectCorrupt(contents);
  contents = Small();
  contents.data_keys[0].wrapped += 'w';
  ExpectCorrupt(contents);
  contents = Small();
  contents.identity.region = std::string(kMaxIdSize + 1, 'r');
  ExpectCorrupt(contents);
}

TEST_F(Format, KeepsEveryFieldOfAProof) {
  const auto read = Through(Proved());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->proofs, Proved().proofs);
  EXPECT_THAT(EncodeBody(Proved()).substr(8, 1), "\2");
  EXPECT_THAT(EncodeBody(Small()).substr(8, 1), "\1") << "as before there were proofs";
}

TEST_F(Format, KeepsTheVersionsOfKeys) {
  Contents contents = Proved();
  contents.keys = {Key("uri", "wrapped"), Key("uri", ""), Key("older", "")};
  contents.keys[1].version = "3";
  const auto read = Through(contents);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->keys[0].version, "") << "not told";
  EXPECT_EQ(read->keys[1].version, "3");
  EXPECT_EQ(read->proofs, contents.proofs);
  EXPECT_THAT(EncodeBody(contents).substr(8, 1), "\4");
}

TEST_F(Format, KeepsTheRecoveryKeyAndItsUse) {
  Contents contents = Small();
  contents.recovered_at = absl::FromUnixMicros(7);
  auto read = Through(contents);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_FALSE(read->recovery.has_value());
  EXPECT_EQ(read->recovered_at, absl::FromUnixMicros(7));
  contents.recovery = RecoveryEntry{"pem", absl::FromUnixMicros(5), std::string(kMinSealedSize, 's')};
  contents.recovered_at = absl::InfinitePast();
  read = Through(contents);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->recovery->public_key, "pem");
  EXPECT_EQ(read->recovery->created_at, absl::FromUnixMicros(5));
  EXPECT_EQ(read->recovery->sealed, contents.recovery->sealed);
  EXPECT_EQ(read->recovered_at, absl::InfinitePast());
  EXPECT_THAT(EncodeBody(contents).substr(8, 1), "\5");
  contents.recovery->sealed = std::string(kMaxSealedSize + 1, 's');
  ExpectCorrupt(contents);
  contents.recovery->sealed = std::string(kMinSealedSize, 's');
  contents.recovery->public_key = std::string(kMaxPublicKeySize + 1, 'p');
  ExpectCorrupt(contents);
}

TEST_F(Format, KeepsWhenTheStoreWasAccepted) {
  Contents contents = Small();
  contents.accepted_at = absl::FromUnixMicros(9);
  auto read = Through(contents);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->accepted_at, absl::FromUnixMicros(9));
  EXPECT_EQ(read->recovered_at, absl::InfinitePast());
  EXPECT_FALSE(read->recovery.has_value());
  EXPECT_THAT(EncodeBody(contents).substr(8, 1), "\6");
  contents.recovered_at = absl::FromUnixMicros(7);
  read = Through(contents);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->accepted_at, absl::FromUnixMicros(9));
  EXPECT_EQ(read->recovered_at, absl::FromUnixMicros(7));
}

TEST_F(Format, KeepsTheSeals) {
  Contents contents = Small();
  contents.data_keys[0].seals = 77;
  auto read = Through(contents);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->data_keys[0].seals, 77U);
  EXPECT_TRUE(read->proofs.empty());
  EXPECT_THAT(EncodeBody(contents).substr(8, 1), "\3");
  contents = Proved();
  contents.data_keys.back().seals = kMostSeals;
  read = Through(contents);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->data_keys.back().seals, kMostSeals);
  EXPECT_EQ(read->proofs, contents.proofs);
  ++contents.data_keys.back().seals;
  ExpectCorrupt(contents);
}

TEST_F(Format, ProofsThatContradictTheRingAreRefused) {
  Contents contents = Proved();
  contents.data_keys[0] = DataKeyOf(1, DataKeyState::kRetired);
  ExpectCorrupt(contents);
  for (const DataKeyId target : {0U, 3U, 4U}) {
    contents = Proved();
    contents.proofs.back().target = target;
    ExpectCorrupt(contents);
  }
  contents = Proved();
  contents.proofs.push_back(contents.proofs.back());
  ExpectCorrupt(contents);
  contents = Proved();
  contents.next_data_key = 1000;
  for (DataKeyId target = 3; contents.proofs.size() <= kMaxProofs; ++target) {
    contents.proofs.push_back(ProofOf(target));
  }
  contents.data_keys.back().id = 999;
  ExpectCorrupt(contents);
}

TEST_F(Format, LengthsThatLieAreRefused) {
  const std::string body = EncodeBody(Proved());
  // Every place where a length or a count may stand, at its largest.
  for (size_t at = kHeaderSize - 4; at + 1 < body.size(); ++at) {
    std::string lying = body;
    lying[at] = lying[at + 1] = '\xff';
    const std::string file = WithTrailer(lying, {});
    const auto decoded = Decode(file);
    const bool same = !decoded.ok() || EncodeBody(decoded->contents) == lying;
    EXPECT_TRUE(same) << at;
  }
}

TEST_F(Format, IdentityIsPartOfEveryBinding) {
  const Identity identity{"c", "r", "s"};
  const std::string binding = DataKeyBinding(1, identity);
  EXPECT_NE(binding, DataKeyBinding(2, identity));
  EXPECT_NE(binding, DataKeyBinding(1, {"c", "r", "t"}));
  EXPECT_NE(binding, DataKeyBinding(1, {"cr", "", "s"}));
  EXPECT_NE(ToContext(identity), ToContext({"c", "r", "t"}));
  EXPECT_EQ(ToContext(identity).at("keyhold:cluster"), "c");
}

}  // namespace
}  // namespace keyhold::keyring
