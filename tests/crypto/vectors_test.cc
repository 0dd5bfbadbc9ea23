// The published vectors: FIPS 180-4, RFC 4231, RFC 5869, RFC 7914 (PBKDF2), NIST CAVP (GCM), RFC 5297 (SIV).
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

namespace keyhold::crypto {
namespace {

class Vectors : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(InitSecretMemory().ok()); }
};

std::string Raw(const char* hex) { return absl::HexStringToBytes(hex); }

TEST_F(Vectors, Sha256) {
  EXPECT_EQ(Hex(Sha256(AsBytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(Vectors, HmacRfc4231Case2) {
  EXPECT_EQ(Hex(HmacSha256(AsBytes("Jefe"), AsBytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_F(Vectors, HkdfRfc5869Case3HasNeitherSaltNorInfo) {
  EXPECT_EQ(Hex(Hkdf(AsBytes(std::string(22, '\x0b')), {}, 42).Expose()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST_F(Vectors, Pbkdf2Rfc7677) {
  // SaltedPassword of RFC 7677 section 3's exchange: password "pencil", 4096 rounds.
  const std::string salt = Raw("5b6d99689d12358eeca04b141236fa81");
  EXPECT_EQ(Hex(Pbkdf2(AsBytes("pencil"), AsBytes(salt), 4096).Expose()),
            "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d");
}

TEST_F(Vectors, GcmNistTestCase14) {
  const std::string key(32, '\0');
  const Aes256Gcm gcm(AsBytes(key));
  const GcmNonce nonce{};
  const std::string plaintext(16, '\0');
  std::string out(16, '\0');
  uint8_t tag[16];
  gcm.Seal(nonce, {}, AsBytes(plaintext), reinterpret_cast<uint8_t*>(out.data()), tag);
  EXPECT_EQ(Hex(AsBytes(out)), "cea7403d4d606b6e074ec5d3baf39d18");
  EXPECT_EQ(Hex(tag), "d0d1c8a799996bf0265b98b5d48ab919");
}

TEST_F(Vectors, GcmRefusesEveryFlippedBit) {
  const Aes256Gcm gcm(AsBytes(std::string(32, 'k')));
  const GcmNonce nonce{1, 2, 3};
  std::string sealed(5, '\0');
  uint8_t tag[16];
  gcm.Seal(nonce, AsBytes("ad"), AsBytes("hello"), reinterpret_cast<uint8_t*>(sealed.data()), tag);
  std::string opened(5, 'x');
  auto* out = reinterpret_cast<uint8_t*>(opened.data());
  ASSERT_TRUE(gcm.Open(nonce, AsBytes("ad"), AsBytes(sealed), tag, out));
  EXPECT_EQ(opened, "hello");
  EXPECT_FALSE(gcm.Open(nonce, AsBytes("aE"), AsBytes(sealed), tag, out));
  EXPECT_EQ(opened, std::string(5, '\0'));
  for (int bit = 0; bit < 5 * 8; ++bit) {
    std::string altered = sealed;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(gcm.Open(nonce, AsBytes("ad"), AsBytes(altered), tag, out));
  }
  for (int bit = 0; bit < 16 * 8; ++bit) {
    tag[bit / 8] ^= 1 << (bit % 8);
    EXPECT_FALSE(gcm.Open(nonce, AsBytes("ad"), AsBytes(sealed), tag, out));
    tag[bit / 8] ^= 1 << (bit % 8);
  }
}

TEST_F(Vectors, BoxOpensOnlyWithItsKeyAndData) {
  const std::string key(32, 'k');
  const std::string box = SealBox(AsBytes(key), SystemRandom(), AsBytes("place"), AsBytes("secret"));
  EXPECT_EQ(OpenBox(AsBytes(key), AsBytes("place"), AsBytes(box))->ExposeText(), "secret");
  EXPECT_EQ(CauseOf(OpenBox(AsBytes(key), AsBytes("other"), AsBytes(box)).status()), Cause::kCorrupt);
  EXPECT_EQ(CauseOf(OpenBox(AsBytes(std::string(32, 'x')), AsBytes("place"), AsBytes(box)).status()),
            Cause::kCorrupt);
  EXPECT_EQ(CauseOf(OpenBox(AsBytes(key), AsBytes("place"), AsBytes(box.substr(0, 27))).status()),
            Cause::kCorrupt);
}

TEST_F(Vectors, SivIsDeterministicAndBound) {
  const Aes256Siv siv(AsBytes(std::string(64, 'k')));
  const std::string sealed = siv.Seal(AsBytes("dir"), AsBytes("name"));
  EXPECT_EQ(sealed, siv.Seal(AsBytes("dir"), AsBytes("name")));
  EXPECT_NE(sealed, siv.Seal(AsBytes("dir2"), AsBytes("name")));
  EXPECT_EQ(*siv.Open(AsBytes("dir"), AsBytes(sealed)), "name");
  EXPECT_EQ(CauseOf(siv.Open(AsBytes("dir2"), AsBytes(sealed)).status()), Cause::kCorrupt);
  EXPECT_EQ(CauseOf(siv.Open(AsBytes("dir"), AsBytes(sealed.substr(1))).status()), Cause::kCorrupt);
}

}  // namespace
}  // namespace keyhold::crypto
