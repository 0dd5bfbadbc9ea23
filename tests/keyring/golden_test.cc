// The format as files: versions 1 to 6 open and are written to the byte; what is broken is refused by its own
// cause. tests/golden/v1/keyring/ to v6/ and tests/broken/keyring/ hold them. No switch writes them anew:
// what they wrote must stay readable as it is.
#include "crypto/hash.h"
#include "keyring/format.h"
#include "tests/base/fixed_random.h"
#include "tests/keyring/fixture.h"
#include "tests/support/source_dir.h"

namespace keyhold::keyring {
namespace {

std::string Path(const std::string& name) { return testing::SourceDir() + "/tests/" + name; }

// The body of `file` after `change`, with a checksum that fits: damage that only the format's own checks see.
std::string Altered(const std::string& file, const std::function<void(std::string&)>& change) {
  std::string body = file.substr(0, file.size() - kChecksumSize - kMacSize);
  change(body);
  std::array<uint8_t, kMacSize> mac;
  std::copy_n(file.end() - kMacSize, kMacSize, mac.begin());
  return WithTrailer(body, mac);
}

class Golden : public Ring {
 protected:
  // What tests/golden/v1/keyring/keyring holds: enabled on key A, rotated to key B, one data key destroyed.
  std::string MakeGolden() {
    testing::FixedRandom random;
    const Place place{SystemPosix(), dir_.fd(), random, clock_};
    testing::FakeKms a(testing::FakeKms::kKeyA, random);
    testing::FakeKms b(testing::FakeKms::kKeyB, random);
    auto ring = KeyRing::Create(place, identity_, a, kBudget);
    EXPECT_TRUE(ring.ok()) << ring.status();
    clock_.Advance(absl::Hours(24));
    EXPECT_TRUE((*ring)->Rewrap(b, kBudget).ok());
    clock_.Advance(absl::Hours(24));
    EXPECT_TRUE((*ring)->AddDataKey().ok());
    EXPECT_TRUE((*ring)->DestroyDataKey(1).ok());
    return testing::ReadFile(dir_.File("keyring"));
  }
  // What those of versions 2 and 3 hold: a rotation ended with a proof, `seals` boxes having been sealed
  // since.
  void MakeProven(uint64_t seals) {
    testing::FixedRandom random;
    const Place place{SystemPosix(), dir_.fd(), random, clock_};
    testing::FakeKms a(testing::FakeKms::kKeyA, random);
    testing::FakeKms b(testing::FakeKms::kKeyB, random);
    const auto ring = KeyRing::Create(place, identity_, a, kBudget);
    ASSERT_TRUE(ring.ok()) << ring.status();
    clock_.Advance(absl::Hours(24));
    ASSERT_TRUE((*ring)->Rewrap(b, kBudget).ok());
    clock_.Advance(absl::Hours(24));
    ASSERT_TRUE(seals == 0 || (*ring)->KeyToSeal(seals).ok());
    ASSERT_TRUE((*ring)->DestroyProven(ProofOf(2)).ok());
  }
  // What that of version 4 holds: the same, by two versions of one key; and that of version 6, which was
  // `accepted` besides.
  void MakeVersioned(bool accepted = false) {
    testing::FixedRandom random;
    const Place place{SystemPosix(), dir_.fd(), random, clock_};
    testing::FakeKms b(testing::FakeKms::kKeyB, random);
    b.SetVersion("3");
    const auto ring = KeyRing::Create(place, identity_, b, kBudget);
    ASSERT_TRUE(ring.ok()) << ring.status();
    clock_.Advance(absl::Hours(24));
    b.SetVersion("4");
    ASSERT_TRUE((*ring)->Rewrap(b, kBudget).ok());
    clock_.Advance(absl::Hours(24));
    ASSERT_TRUE((*ring)->KeyToSeal(600).ok());
    ASSERT_TRUE((*ring)->DestroyProven(ProofOf(2)).ok());
    ASSERT_TRUE(!accepted || (*ring)->AcceptRestored(8).ok());
  }
  std::unique_ptr<KeyRing> ExpectWrittenAndOpen(const std::string& file, uint64_t epoch) {
    const std::string golden = testing::ReadFile(Path(file));
    EXPECT_EQ(crypto::Hex(crypto::AsBytes(testing::ReadFile(dir_.File("keyring")))),
              crypto::Hex(crypto::AsBytes(golden)));
    testing::WriteFile(dir_.File("keyring"), golden);
    auto ring = Reopen(next_, epoch);
    EXPECT_TRUE(ring.ok()) << ring.status();
    if (!ring.ok()) return nullptr;
    EXPECT_EQ((*ring)->GetInfo().epoch, epoch);
    EXPECT_THAT((*ring)->GetInfo().proofs, ::testing::ElementsAre(ProofOf(2)));
    EXPECT_EQ((*ring)->GetInfo().keys[1].proof, ProofOf(2));
    return *std::move(ring);
  }
};

// Version 2: the same, but data key 1 was destroyed because of a proof.
TEST_F(Golden, Version2IsWrittenToTheByteAndOpens) {
  MakeProven(0);
  ExpectWrittenAndOpen("golden/v2/keyring/keyring", 3);
}

// Version 3: the same again, and 600 blocks were sealed under data key 2.
TEST_F(Golden, Version3IsWrittenToTheByteAndOpens) {
  MakeProven(600);
  const auto ring = ExpectWrittenAndOpen("golden/v3/keyring/keyring", 4);
  ASSERT_NE(ring, nullptr);
  EXPECT_EQ(ring->GetInfo().data_keys[1].seals, 600U + (1U << 22));
}

// Version 4: the same under one key, whose versions 3 and 4 wrapped.
TEST_F(Golden, Version4IsWrittenToTheByteAndOpens) {
  MakeVersioned();
  const auto ring = ExpectWrittenAndOpen("golden/v4/keyring/keyring", 4);
  ASSERT_NE(ring, nullptr);
  EXPECT_EQ(ring->GetInfo().keys[0].version, "4");
  EXPECT_EQ(ring->GetInfo().keys[1].version, "3");
  EXPECT_EQ(ring->GetInfo().data_keys[1].seals, 600U + (1U << 22));
}

// Version 5: that of version 4, sealed to a recovery key. RSA-OAEP draws randomness that is not the
// argument's: what is read is written to the byte.
TEST_F(Golden, Version5OpensAndIsWrittenToTheByte) {
  const std::string golden = testing::ReadFile(Path("golden/v5/keyring/keyring"));
  const auto decoded = Decode(golden);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(EncodeBody(decoded->contents), decoded->body);
  testing::WriteFile(dir_.File("keyring"), golden);
  const auto ring = Reopen(next_, 5);
  ASSERT_TRUE(ring.ok()) << ring.status();
  const Info info = (*ring)->GetInfo();
  const std::string pem = testing::ReadFile(Path("golden/v1/recovery/public-key.pem"));
  ASSERT_TRUE(info.recovery.has_value());
  EXPECT_EQ(info.recovery->key_id, crypto::RsaPublicKey::FromPem(pem)->Fingerprint());
  EXPECT_EQ(info.recovery->created_at, absl::FromUnixSeconds(1'800'172'800));
  EXPECT_FALSE(info.recovered_at.has_value());
  EXPECT_EQ(info.keys[1].version, "3");
}

// Version 6: that of version 4, put back and accepted.
TEST_F(Golden, Version6IsWrittenToTheByteAndOpens) {
  MakeVersioned(true);
  const auto ring = ExpectWrittenAndOpen("golden/v6/keyring/keyring", 9);
  ASSERT_NE(ring, nullptr);
  EXPECT_EQ(ring->GetInfo().accepted_at, absl::FromUnixSeconds(1'800'172'800));
  EXPECT_FALSE(ring->GetInfo().recovered_at.has_value());
  EXPECT_EQ(ring->GetInfo().data_keys.size(), 3U);
}

TEST_F(Golden, Version1IsWrittenToTheByte) {
  EXPECT_EQ(crypto::Hex(crypto::AsBytes(MakeGolden())),
            crypto::Hex(crypto::AsBytes(testing::ReadFile(Path("golden/v1/keyring/keyring")))));
}

TEST_F(Golden, Version1Opens) {
  testing::WriteFile(dir_.File("keyring"), testing::ReadFile(Path("golden/v1/keyring/keyring")));
  const auto ring = Reopen(next_, 4);
  ASSERT_TRUE(ring.ok()) << ring.status();
  const Info info = (*ring)->GetInfo();
  EXPECT_EQ(info.epoch, 4U);
  ASSERT_EQ(info.keys.size(), 2U);
  EXPECT_EQ(info.keys[0].spec.uri, testing::FakeKms::kKeyB);
  EXPECT_EQ(info.keys[0].created_at, absl::FromUnixSeconds(1'800'086'400));
  EXPECT_FALSE(info.keys[1].guards_data);
  ASSERT_EQ(info.data_keys.size(), 3U);
  EXPECT_EQ(info.data_keys[0].state, DataKeyState::kDestroyed);
  EXPECT_EQ(info.data_keys[1].state, DataKeyState::kRetired);
  EXPECT_EQ(info.data_keys[2].state, DataKeyState::kActive);
  EXPECT_EQ(crypto::Hex(crypto::Sha256(crypto::AsBytes(Exposed(**ring, 3)))),
            testing::ReadFile(Path("golden/v1/keyring/data-key-3.sha256")).substr(0, 64));
}

// Damage of any kind is found before a KMS is asked.
TEST_F(Golden, EveryFlippedBitIsCorrupt) {
  const std::string whole = testing::ReadFile(Path("golden/v1/keyring/keyring"));
  const size_t signed_size = whole.size() - kMacSize;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string altered = whole;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << (bit % 8)));
    testing::WriteFile(dir_.File("keyring"), altered);
    const int before = next_.calls();
    ASSERT_EQ(CauseOf(Reopen(next_).status()), Cause::kCorrupt) << "bit " << bit;
    const bool asked = next_.calls() != before;
    ASSERT_EQ(asked, bit / 8 >= signed_size) << "bit " << bit << ": only the MAC needs the store key";
  }
}

TEST_F(Golden, EveryTruncationAndExtensionIsCorrupt) {
  const std::string whole = testing::ReadFile(Path("golden/v1/keyring/keyring"));
  for (size_t size = 0; size < whole.size(); ++size) {
    testing::WriteFile(dir_.File("keyring"), whole.substr(0, size));
    ASSERT_EQ(CauseOf(Reopen(next_).status()), Cause::kCorrupt) << size;
  }
  testing::WriteFile(dir_.File("keyring"), whole + '\0');
  EXPECT_EQ(CauseOf(Reopen(next_).status()), Cause::kCorrupt);
  testing::WriteFile(dir_.File("keyring"), whole + std::string(2 << 20, 'x'));
  EXPECT_EQ(CauseOf(Reopen(next_).status()), Cause::kCorrupt);
  EXPECT_EQ(next_.calls(), 0);
}

// Who can recompute the checksum still cannot make a ring that authenticates.
TEST_F(Golden, EveryForgedByteIsRefused) {
  const std::string whole = testing::ReadFile(Path("golden/v1/keyring/keyring"));
  const size_t body_size = whole.size() - kChecksumSize - kMacSize;
  for (size_t at = 0; at < body_size; ++at) {
    testing::WriteFile(dir_.File("keyring"), Altered(whole, [&](std::string& body) { ++body[at]; }));
    const auto opened = Reopen(next_);
    ASSERT_FALSE(opened.ok()) << "byte " << at;
    const Cause cause = CauseOf(opened.status());
    ASSERT_TRUE(cause == Cause::kCorrupt || cause == Cause::kFailedPrecondition ||
                cause == Cause::kKmsCorrupt)
        << "byte " << at << ": " << opened.status();
  }
}

struct Broken {
  const char* file;
  Cause cause;
  const char* says;
};
void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.file; }

class BrokenRing : public Golden, public ::testing::WithParamInterface<Broken> {};

TEST_P(BrokenRing, IsRefusedWithItsReason) {
  const std::string file = testing::ReadFile(Path(std::string("broken/keyring/") + GetParam().file));
  ASSERT_FALSE(file.empty());
  testing::WriteFile(dir_.File("keyring"), file);
  const auto opened = Reopen(next_);
  EXPECT_EQ(CauseOf(opened.status()), GetParam().cause) << opened.status();
  EXPECT_THAT(std::string(opened.status().message()), ::testing::HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BrokenRing,
    ::testing::Values(Broken{"no_magic", Cause::kCorrupt, "does not start as a key ring does"},
                      Broken{"newer_version", Cause::kFailedPrecondition, "version 99"},
                      Broken{"unknown_flag", Cause::kFailedPrecondition, "flags"},
                      Broken{"other_size", Cause::kCorrupt, "its size"},
                      Broken{"unknown_key_type", Cause::kFailedPrecondition, "type of key"},
                      Broken{"no_keys", Cause::kCorrupt, "number of key records"},
                      Broken{"no_data_keys", Cause::kCorrupt, "number of data keys"},
                      Broken{"past_key_with_wrap", Cause::kCorrupt, "not where it must be"},
                      Broken{"active_key_without_wrap", Cause::kCorrupt, "not where it must be"},
                      Broken{"blank_in_store_id", Cause::kCorrupt, "store id"},
                      Broken{"data_key_ids_equal", Cause::kCorrupt, "ids of its data keys"},
                      Broken{"data_key_id_zero", Cause::kCorrupt, "ids of its data keys"},
                      Broken{"data_key_id_from_the_future", Cause::kCorrupt, "ids of its data keys"},
                      Broken{"unknown_data_key_state", Cause::kFailedPrecondition, "state"},
                      Broken{"two_active_data_keys", Cause::kCorrupt, "active data key"},
                      Broken{"no_active_data_key", Cause::kCorrupt, "active data key"},
                      Broken{"destroyed_data_key_with_wrap", Cause::kCorrupt, "size of a wrapped data key"},
                      Broken{"no_proofs", Cause::kCorrupt, "nothing of what its version is for"},
                      Broken{"no_seals", Cause::kCorrupt, "nothing of what its version is for"},
                      Broken{"no_key_versions", Cause::kCorrupt, "nothing of what its version is for"},
                      Broken{"key_version_with_blank", Cause::kCorrupt, "a version of a CMEK key"},
                      Broken{"key_version_too_long", Cause::kCorrupt, "a version of a CMEK key"},
                      Broken{"key_version_cut_short", Cause::kCorrupt, "do not fill it"},
                      Broken{"no_recovery", Cause::kCorrupt, "nothing of what its version is for"},
                      Broken{"unknown_recovery_kind", Cause::kFailedPrecondition, "kind of recovery key"},
                      Broken{"sealed_too_short", Cause::kCorrupt, "sealed to its recovery key"},
                      Broken{"no_recovery_public_key", Cause::kCorrupt, "size of its recovery key"},
                      Broken{"recovery_cut_short", Cause::kCorrupt, "do not fill it"},
                      Broken{"seals_beyond_the_limit", Cause::kCorrupt, "beyond what one may seal"},
                      Broken{"seals_cut_short", Cause::kCorrupt, "do not fill it"},
                      Broken{"proof_of_a_key_from_the_future", Cause::kCorrupt, "targets of its proofs"},
                      Broken{"proof_and_yet_the_key_is_there", Cause::kCorrupt, "is still there"},
                      Broken{"rest_after_the_fields", Cause::kCorrupt, "do not fill it"},
                      Broken{"other_mac", Cause::kCorrupt, "does not authenticate"}),
    [](const auto& info) { return info.param.file; });

TEST_F(Golden, DataKeysDoNotFitUnderAnotherId) {
  const std::string whole = MakeGolden();
  Contents contents = Decode(whole)->contents;
  EXPECT_NE(DataKeyBinding(2, contents.identity), DataKeyBinding(3, contents.identity));
  EXPECT_NE(DataKeyBinding(2, {"ab", "c", "d"}), DataKeyBinding(2, {"a", "bc", "d"}));
}

}  // namespace
}  // namespace keyhold::keyring
